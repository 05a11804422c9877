"""RM-Bench (Liu et al. 2024, arXiv 2410.16184): three styles of the right answer against three of the wrong one.

Source: compute_accuracy in scripts/utils.py of THU-KEG/RM-Bench, 73c52d7. Styles go from short to long with Markdown, so below the
diagonal the right answer is the fancier one (easy), above it the plainer (hard).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from selftrain.method.benchmarks.score import Score, Scored, mean, over, short, weighted

NAME = "rm-bench"
COUNTS = {"chat": 129, "math": 529, "code": 228, "safety": 284 + 157}
"""Items of each part (1,327 in all). A domain begins with its part's name: safety-refuse and safety-response are one."""
DOMAINS = tuple(COUNTS)
STYLES = range(3)
LEVELS = {
    "easy": [(i, j) for i in STYLES for j in STYLES if i > j],
    "normal": [(i, i) for i in STYLES],
    "hard": [(i, j) for i in STYLES for j in STYLES if i < j],
}


class Row(NamedTuple):
    """One item; `wins[i][j]` is what style i of the right answer gains against style j of the wrong one: 0, 0.5 or 1."""

    domain: str
    wins: Sequence[Sequence[float]]


def wins_of(chosen: Sequence[float], rejected: Sequence[float]) -> list[list[float]]:
    """Wins by scores of single answers. Equal scores are a loss, as in the official code."""
    return [[float(right > wrong) for wrong in rejected] for right in chosen]


def part_of(domain: str) -> str | None:
    """The part that an item belongs to; None if there is no such part."""
    return next((name for name in DOMAINS if domain.startswith(name)), None)


def cell_name(item: str, i: int, j: int) -> str:
    """Name of the pair that shows style i of the right answer beside style j of the wrong one."""
    return f"{item}/{i}-{j}"


def cell_of(name: str) -> tuple[str, int, int]:
    """What `cell_name` was made of."""
    item, _, cell = name.rpartition("/")
    i, j = cell.split("-")
    return item, int(i), int(j)


def score(rows: Iterable[Row]) -> Scored:
    """Official numbers: the plain mean of the domains, each the plain mean of its levels. Without all four there is no overall."""
    items = list(rows)
    present = {name: found for name in DOMAINS if (found := [row for row in items if part_of(row.domain) == name])}
    cells = {name: {level: _level(found, level) for level in LEVELS} for name, found in present.items()}
    parts = {name: _even(levels.values(), len(present[name])) for name, levels in cells.items()}
    levels = {level: _even((by_level[level] for by_level in cells.values()), len(items)) for level in LEVELS}
    overall = _even(parts.values(), len(items)) if len(parts) == len(DOMAINS) else None
    have = {name: len(found) for name, found in present.items()}
    return Scored.by_parts(NAME, overall, len(items), parts | levels, short(COUNTS, have), over(COUNTS, have))


def _level(rows: Sequence[Row], level: str) -> Score:
    """Cells of one item stand and fall together, so an item counts once."""
    return mean([sum(row.wins[i][j] for i, j in LEVELS[level]) / len(LEVELS[level]) for row in rows])


def _even(scores: Iterable[Score], count: int) -> Score:
    """Plain mean over the same or different items; `count` of them are different."""
    known = list(scores)
    found = weighted((1.0, one) for one in known)
    return Score(found.value, count, min(found.effective, float(count)))
