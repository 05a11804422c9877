"""Intervals and tests for counts. Few lines of mathematics, so the operator needs no scientific library.

Judgments of one item (a pair in both orders, the nine pairs of an RM-Bench item) stand and fall together. So what is compared is items,
and an interval is as wide as the items' differences make it.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from math import sqrt
from typing import TypedDict

Z95 = 1.959963984540054


class Paired(TypedDict):
    """Two judges on the same items: on how many the first had more right, on how many the second, and whether that is chance."""

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
    low, high = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    return 0.0 if correct == 0 else low, 1.0 if correct == total else high  # rounding would leave 3e-17


def effective(items: Iterable[tuple[int, int]]) -> float:
    """How many independent judgments would be as uncertain as these, given the right ones and all of each item.

    By the ratio estimator of a cluster sample (Cochran 1977, section 11): never more than there are judgments, nor less than if each
    item stood or fell as a whole (Kish 1965: items where all are of one size, fewer where a few are large).
    """
    known = list(items)
    right, total = sum(own for own, _ in known), sum(of for _, of in known)
    count = len(known)
    whole = total**2 / sum(of**2 for _, of in known) if total else 0.0
    if count <= 1 or right in (0, total):
        return whole
    share = right / total
    spread = sum((own - share * of) ** 2 for own, of in known) * count / (count - 1) / total**2
    return min(float(total), max(whole, share * (1 - share) / spread)) if spread else float(total)


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p of a paired comparison: wins and losses are the items that differ. Of single verdicts it is McNemar's."""
    discordant = wins + losses
    if discordant == 0:
        return 1.0
    tail, ways = 0, 1  # ways to choose k of them, k counted up: computing each anew takes seconds for large counts
    for k in range(min(wins, losses) + 1):
        tail += ways
        ways = ways * (discordant - k) // (k + 1)
    return float(min(1.0, 2 * tail / 2**discordant))


def paired(decided: Iterable[tuple[Hashable, bool, bool]]) -> Paired:
    """Exact sign test. Each judgment says of which item it is, and whether the first and whether the second judge was right."""
    ahead: defaultdict[Hashable, int] = defaultdict(int)
    for item, first, second in decided:
        ahead[item] += first - second
    wins, losses = sum(lead > 0 for lead in ahead.values()), sum(lead < 0 for lead in ahead.values())
    return Paired(wins=wins, losses=losses, p=sign_test(wins, losses))
