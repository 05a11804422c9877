"""Pieces of Markdown, and shares as they are told in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

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
    return [counted(correct, total), share(correct, total)]


def share(correct: float, total: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    low, high = wilson(correct, total)
    return f"{correct / total:.3f} ({low:.3f} to {high:.3f})" if total else "-"


def listed(counts: Mapping[S, int]) -> str:
    """Counts by name, in one line."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
