"""JudgeBench (Tan et al. 2024, arXiv 2410.12784): every pair judged in both orders.

The repository's metric lets one right order outweigh a missing one and cancels a right one with a wrong one; others report
a pair only if both orders are right ("strict"). Source: utils/metrics.py of ScalerLab/JudgeBench, e2c52c2.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from selftrain.method.benchmarks.score import Scored, mean, strict

NAME = "judgebench"
SOURCES = ("mmlu-pro", "livebench-reasoning", "livebench-math", "livecodebench")
"""Parts; MMLU-Pro's items name their subject behind it."""
FLIPPED = {"A>B": "B>A", "B>A": "A>B"}


class Row(NamedTuple):
    """One pair. `second` is the decision on the swapped answers, as the judge gave it; None was not parsed."""

    source: str
    label: str
    first: str | None
    second: str | None

    @property
    def decisions(self) -> tuple[str | None, str | None]:
        """Both as if the answers had been shown in the order of the label."""
        return self.first, FLIPPED.get(self.second, self.second) if self.second else None

    @property
    def right(self) -> bool:
        """By the repository's metric."""
        return sum((decision == self.label) - (decision == FLIPPED[self.label]) for decision in self.decisions) > 0

    @property
    def strict(self) -> bool:
        return all(decision == self.label for decision in self.decisions)

    @property
    def consistent(self) -> bool:
        return self.decisions[0] == self.decisions[1]


def part_of(source: str) -> str | None:
    """The part that a pair belongs to; None if there is no such part."""
    return next((name for name in SOURCES if source.startswith(name)), None)


def score(rows: Iterable[Row]) -> Scored:
    """Official numbers, the strict ones beside them."""
    pairs = list(rows)
    parts = {name: [row for row in pairs if part_of(row.source) == name] for name in SOURCES}
    return Scored(
        NAME,
        mean([row.right for row in pairs]),
        len(pairs),
        {name: _both(found) for name, found in parts.items() if found},
        {
            **strict([row.strict for row in pairs]),
            "unparsed": sum(decision is None for row in pairs for decision in row.decisions),
            "inconsistent": sum(not row.consistent for row in pairs),
        },
    )


def _both(rows: list[Row]) -> dict[str, Any]:
    return mean([row.right for row in rows]).as_json(**strict([row.strict for row in rows]))
