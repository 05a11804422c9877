"""Deciding by majority."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

V = TypeVar("V", bound=str)


def majority(votes: Iterable[V | None]) -> V | None:
    """The verdict said most often. Unparsed votes do not count; a tie is no verdict, and so is not right for anybody."""
    known = Counter(vote for vote in votes if vote is not None).most_common(2)
    tie = len(known) > 1 and known[0][1] == known[1][1]
    return known[0][0] if known and not tie else None
