"""Distributions of judgments: lengths, pass rates, verdicts by order, their entropy, and how much texts repeat each other."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import fsum, log2
from typing import NamedTuple

from selftrain.api.records import Grams, Lengths, Order, Tally, Verdict
from selftrain.method.words import grams, words

TENTHS = 10
RATES = ("0", *(f"below {tenth / TENTHS}" for tenth in range(1, TENTHS)), "below 1", "1")
"""Names of the bins of a pass rate. None and all are apart: the one is noise or beyond the judge, the other teaches little."""
DISTINCT = (1, 2)
"""Source: distinct-1 and distinct-2 of Li et al. 2016, arXiv 1510.03055."""
FIRST_WORDS = 200
"""What a text counts with. The share of distinct n-grams falls as texts grow, so unequal lengths would not compare."""


class Alike(NamedTuple):
    """Ordered pairs whose judgments say the same: `a` times A, `b` times B, else no verdict."""

    order: Order
    a: int
    b: int
    judgments: int
    is_kept: bool
    """Whether a judgment was kept."""
    pairs: int
    """How many ordered pairs."""

    @property
    def right(self) -> int:
        """Right judgments of each."""
        return self.a if self.order.gold is Verdict.A else self.b


def lengths(histogram: Mapping[int, int]) -> Lengths:
    """Quantiles of lengths that are given as how often each occurs."""
    known = sorted((length, count) for length, count in histogram.items() if count)
    if not known:
        return Lengths()
    reached = list(zip(accumulate(count for _, count in known), (length for length, _ in known), strict=True))
    count = reached[-1][0]

    def quantile(tenths: int) -> int:
        return next(length for below, length in reached if below * TENTHS >= count * tenths)

    return Lengths(
        count=count,
        total=sum(length * often for length, often in known),
        tenth=quantile(1),
        median=quantile(5),
        nine_tenths=quantile(9),
        longest=known[-1][0],
    )


def pass_rates(groups: Iterable[Alike]) -> dict[str, int]:
    """Ordered pairs by the share of right judgments, every bin named."""
    bins = dict.fromkeys(RATES, 0)
    for group in groups:
        bins[_rate(group.right, group.judgments)] += group.pairs
    return bins


def by_order(groups: Iterable[Alike]) -> dict[Order, Tally]:
    """Verdicts on pairs shown in each order. A judge without a bias says A as often in the one as B in the other."""
    known = list(groups)
    return {order: _tally([group for group in known if group.order is order]) for order in Order}


def mean_entropy(groups: Iterable[Alike]) -> float:
    """Mean entropy in bits of an ordered pair's verdicts. The sum is exact, so it does not depend on the order of groups."""
    known = list(groups)
    pairs = sum(group.pairs for group in known)
    total = fsum(group.pairs * entropy((group.a, group.b, group.judgments - group.a - group.b)) for group in known)
    return round(total / pairs, 6) if pairs else 0.0


def entropy(counts: Iterable[int]) -> float:
    """Entropy in bits of a distribution given as counts (Shannon 1948)."""
    known = [count for count in counts if count]
    total = sum(known)
    return fsum(count / total * log2(total / count) for count in known)


def distinct(texts: Iterable[str]) -> dict[int, Grams]:
    """How much texts repeat each other and themselves, by the n of their n-grams."""
    totals, seen = dict.fromkeys(DISTINCT, 0), {n: set[tuple[str, ...]]() for n in DISTINCT}
    for text in texts:
        first = words(text)[:FIRST_WORDS]
        for n in DISTINCT:
            seen[n].update(grams(first, n))
            totals[n] += max(0, len(first) - n + 1)
    return {n: Grams(total=totals[n], distinct=len(seen[n])) for n in DISTINCT}


def _rate(right: int, judgments: int) -> str:
    """The bin's name; bins but the first and the last hold their lower end."""
    if right in (0, judgments):
        return RATES[-1] if right else RATES[0]
    return RATES[1 + right * TENTHS // judgments]


def _tally(groups: list[Alike]) -> Tally:
    return Tally(
        correct=sum(group.right * group.pairs for group in groups),
        total=sum(group.judgments * group.pairs for group in groups),
        unparsed=sum((group.judgments - group.a - group.b) * group.pairs for group in groups),
        a_verdicts=sum(group.a * group.pairs for group in groups),
    )
