"""Tables from finished runs: counts pooled over seeds, intervals, and paired tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selftrain.method.stats import paired, wilson

Hits = dict[tuple[str, str, str, str], bool]
"""Whether a judgment was right, by (seed, benchmark, pair, order)."""


@dataclass(frozen=True)
class Row:
    """One judge of an experiment, all its seeds together."""

    name: str
    iteration: int
    entries: Sequence[dict[str, Any]]
    """Of the summaries, one a seed."""
    hits: Hits

    def share(self, *path: str) -> tuple[int, int]:
        """Correct and total of the whole or of a part."""
        chosen = [entry["parts"][path[0]] if path else entry for entry in self.entries]
        return sum(entry["correct"] for entry in chosen), sum(entry["total"] for entry in chosen)


def table(rows: Sequence[Row], against: Hits) -> str:
    """Markdown, a line a judge. The last column compares with the paper's recipe on the same judgments."""
    parts = sorted({part for row in rows for entry in row.entries for part in entry["parts"]})
    head = ["recipe", "iteration", "seeds", "kept", "accuracy (95 %)", *parts, "both orders right", "says A", "against paper"]
    lines = [head, ["---"] * len(head), *(_line(row, parts, against) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _line(row: Row, parts: Sequence[str], against: Hits) -> list[str]:
    correct, total = row.share()
    low, high = wilson(correct, total)
    strict = sum(entry["strict"]["correct"] for entry in row.entries), sum(entry["strict"]["total"] for entry in row.entries)
    says_a = sum(entry["a_verdicts"] for entry in row.entries) / total
    return [
        row.name,
        "seed" if row.iteration == 0 else str(row.iteration),
        str(len(row.entries)),
        ", ".join(str(entry["kept"]) for entry in row.entries) if row.iteration else "",
        f"{correct}/{total} = {correct / total:.3f} ({low:.3f} to {high:.3f})",
        *(_fraction(*row.share(part)) for part in parts),
        _fraction(*strict),
        f"{says_a:.2f}",
        _paired(row.hits, against),
    ]


def _fraction(correct: int, total: int) -> str:
    return f"{correct}/{total} = {correct / total:.2f}"


def _paired(ours: Hits, theirs: Hits) -> str:
    common = ours.keys() & theirs.keys()
    if not common or ours == theirs:
        return ""
    test = paired((ours[key], theirs[key]) for key in common)
    return f"+{test['wins']} -{test['losses']}, p = {test['p']:.1g}"
