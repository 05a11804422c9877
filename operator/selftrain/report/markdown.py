"""Pieces of Markdown, and shares as they are told in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from selftrain.api.records import Tally
from selftrain.method.scoring import interval, strict_interval
from selftrain.method.stats import wilson

Row = Sequence[str]
S = TypeVar("S", bound=str)


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table. Bars within a cell are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def counted(correct: int, total: int) -> str:
    """A count of a total."""
    return f"{correct} of {total}"


def measured(correct: int, total: int) -> list[str]:
    """Two cells: the counts, and the share with its 95 % interval (Wilson)."""
    return _told(correct, total, wilson(correct, total))


def judged(tally: Tally) -> list[str]:
    """The same of judgments, of which those of one item are not independent."""
    return _told(tally.correct, tally.total, interval(tally))


def judged_strictly(tally: Tally) -> list[str]:
    """The same of pairs that are right in both orders."""
    return _told(tally.strict_correct, tally.pairs, strict_interval(tally))


def _told(part: int, total: int, ends: tuple[float, float]) -> list[str]:
    low, high = ends
    return [counted(part, total), f"{part / total:.3f} ({low:.3f} to {high:.3f})" if total else "-"]


def listed(counts: Mapping[S, int]) -> str:
    """Counts by name, in one line."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
