"""Scores of a judge on held-out pairs, with what two blind baselines would have scored on the same pairs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from selftrain.api.records import BenchmarkResult, Official, Order, Tally, Verdict
from selftrain.method.stats import effective, wilson


@dataclass(frozen=True)
class Ruling:
    """The judge's decision on one pair in one order."""

    id: str
    subset: str
    order: Order
    verdict: Verdict | None
    chosen_length: int
    rejected_length: int
    lenient: Verdict | None = None
    """The decision by the benchmarks' lenient reading of the same judgments."""
    disagreements: int = 0
    """Judgments that the two readings understand differently."""
    item: str = ""
    """What the pair is one of several of; empty if it stands alone."""

    @property
    def right(self) -> bool:
        return self.verdict is self.order.gold


Decide = Callable[[Ruling], Verdict | None]


def score(benchmark: str, votes: int, rulings: Iterable[Ruling], official: Official | None = None) -> BenchmarkResult:
    """All tallies of one benchmark. A missing verdict is wrong, so it cannot help a judge to be silent."""
    rows = list(rulings)
    subsets = sorted({row.subset for row in rows if row.subset})
    return BenchmarkResult(
        benchmark=benchmark,
        votes=votes,
        overall=tally(rows),
        parts={subset: tally([row for row in rows if row.subset == subset]) for subset in subsets},
        orders={order: _without_pairs(tally([row for row in rows if row.order is order])) for order in Order},
        always_a=tally(_decided(rows, lambda _row: Verdict.A)),
        longer_wins=tally(_decided(rows, longer)),
        lenient=tally(_decided(rows, lambda row: row.lenient)),
        disagreements=sum(row.disagreements for row in rows),
        official=official,
    )


def by_chance(result: BenchmarkResult) -> float:
    """How many a random judge is expected to have right: half of all pairs, of items with more answers as they say."""
    return result.overall.total / 2 if result.random is None else result.random


def tally(rows: Sequence[Ruling]) -> Tally:
    """Counts over some rulings."""
    pairs: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        pairs[row.item or row.id, row.id].append(row.right)
    strict = {pair: len(right) == len(Order) and all(right) for pair, right in pairs.items()}
    return Tally(
        correct=sum(row.right for row in rows),
        total=len(rows),
        unparsed=sum(row.verdict is None for row in rows),
        a_verdicts=sum(row.verdict is Verdict.A for row in rows),
        strict_correct=sum(strict.values()),
        pairs=len(pairs),
        effective=independent(len(rows), pairs),
        strict_effective=independent(len(pairs), {pair: [both] for pair, both in strict.items()}),
    )


def independent(total: int, pairs: Mapping[tuple[str, str], Sequence[bool]]) -> float | None:
    """How many of `total` judgments are, from what was right by item and pair. None if every item has one judgment.

    Rounded, since it stands in a manifest.
    """
    items: defaultdict[str, list[bool]] = defaultdict(list)
    for (item, _), right in pairs.items():
        items[item].extend(right)
    return None if len(items) == total else round(effective((sum(right), len(right)) for right in items.values()), 2)


def interval(tally: Tally) -> tuple[float, float]:
    """95 % of the share that is right (Wilson), by as many judgments as are independent."""
    return _wilson(tally.correct, tally.total, tally.effective)


def strict_interval(tally: Tally) -> tuple[float, float]:
    """95 % of the share of pairs that are right in both orders."""
    return _wilson(tally.strict_correct, tally.pairs, tally.strict_effective)


def _wilson(correct: int, total: int, independent: float | None) -> tuple[float, float]:
    return wilson(correct / total * independent, independent) if total and independent else wilson(correct, total)


def longer(row: Ruling) -> Verdict | None:
    """The baseline that prefers the longer answer; equal lengths leave it without a verdict."""
    if row.chosen_length == row.rejected_length:
        return None
    gold = row.order.gold
    other = Verdict.B if gold is Verdict.A else Verdict.A
    return gold if row.chosen_length > row.rejected_length else other


def _decided(rows: Iterable[Ruling], decide: Decide) -> list[Ruling]:
    return [replace(row, verdict=decide(row)) for row in rows]


def _without_pairs(one_order: Tally) -> Tally:
    return one_order.model_copy(update={"pairs": 0, "strict_correct": 0, "strict_effective": None})
