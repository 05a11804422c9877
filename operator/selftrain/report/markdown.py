"""Pieces of Markdown, and shares as they are told in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from selftrain.api.records import Tally
from selftrain.method.scoring import interval, strict_interval

Row = Sequence[str]
S = TypeVar("S", bound=str)


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table. Bars within a cell are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def counted(correct: int, total: int) -> str:
    """A count of a total."""
    return f"{correct} of {total}"


def judged(tally: Tally) -> list[str]:
    """Two cells: right judgments, and their share with its 95 % interval."""
    return [counted(tally.correct, tally.total), share(tally.correct, tally.total, interval(tally))]


def judged_strictly(tally: Tally) -> list[str]:
    """The same of pairs that are right in both orders."""
    return [counted(tally.strict_correct, tally.pairs), share(tally.strict_correct, tally.pairs, strict_interval(tally))]


def share(part: float, total: int, ends: tuple[float, float]) -> str:
    """A share with both ends of its interval."""
    low, high = ends
    return f"{part / total:.3f} ({low:.3f} to {high:.3f})" if total else "-"


def listed(counts: Mapping[S, int]) -> str:
    """Counts by name, in one line."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
