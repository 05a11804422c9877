"""Intervals and tests for counts. Few lines of mathematics, so the operator needs no scientific library."""

from collections.abc import Iterable
from math import sqrt
from typing import TypedDict

Z95 = 1.959963984540054


class Paired(TypedDict):
    """Two judges on the same judgments: how often only the first was right, only the second, and whether that is chance."""

    wins: int
    losses: int
    p: float


def wilson(correct: float, total: float, z: float = Z95) -> tuple[float, float]:
    """95 % score interval of a share (Wilson 1927), which stays within 0 and 1 and is not empty at the ends."""
    if total == 0:
        return 0.0, 1.0
    share, square = correct / total, z * z
    centre = share + square / (2 * total)
    spread = z * sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided p of a paired comparison (McNemar): wins and losses are the items on which only one was right."""
    discordant = wins + losses
    if discordant == 0:
        return 1.0
    tail, ways = 0, 1  # ways to choose k of them, k counted up: computing each anew takes seconds for large counts
    for k in range(min(wins, losses) + 1):
        tail += ways
        ways = ways * (discordant - k) // (k + 1)
    return float(min(1.0, 2 * tail / 2**discordant))


def paired(decided: Iterable[tuple[bool, bool]]) -> Paired:
    """Exact McNemar test; each pair says whether the first and whether the second was right."""
    known = list(decided)
    wins, losses = sum(a and not b for a, b in known), sum(b and not a for a, b in known)
    return Paired(wins=wins, losses=losses, p=mcnemar(wins, losses))
