"""A benchmark's own score, from a judge's rulings on its pairs in both orders or its ratings, read leniently as its own code does."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from selftrain.api.pair_files import PairFormat
from selftrain.api.records import Official, Order
from selftrain.api.seeds import seed_of
from selftrain.method.benchmarks import judgebench, mtbench, rewardbench, rewardbench2, rmbench
from selftrain.method.contests import Contest, Outcome
from selftrain.method.scoring import Ruling

WITH_PRIOR_SETS = "with Prior Sets"
SAID = {True: "A>B", False: "B>A"}


def official(layout: PairFormat, rulings: Sequence[Ruling], people: Mapping[str, Sequence[str]]) -> Official | None:
    """The published metric; None where there is none beside our own. `people` has their votes on each pair, if it is made from them."""
    rulings = [replace(ruling, verdict=ruling.lenient) for ruling in rulings]
    match layout:
        case PairFormat.REWARDBENCH:
            return _rewardbench(_in_stored_order(rulings))
        case PairFormat.JUDGEBENCH:
            return judgebench.score(_both_orders(rulings)).official
        case PairFormat.RM_BENCH:
            won = ((ruling.id, ruling.subset, ruling.right / len(Order)) for ruling in rulings)
            return rmbench.score(_matrices(won)).official
        case PairFormat.MT_BENCH:
            return mtbench.score(_beside(rulings, people)).official
        case _:
            return None


def official_of_contests(layout: PairFormat, decided: Sequence[tuple[Contest, Outcome]]) -> Official | None:
    """The same of ratings, and of items with more than two answers.

    If both ratings are equal, or one could not be read, there is no verdict. RM-Bench calls that a loss.
    """
    match layout:
        case PairFormat.REWARDBENCH2:
            best = [rewardbench2.Best(contest.subset, own.worth) for contest, own in decided if contest.subset != rewardbench2.TIES]
            tied = [_tied(contest, own) for contest, own in decided if contest.subset == rewardbench2.TIES]
            return rewardbench2.score(best, tied).official
        case PairFormat.REWARDBENCH:
            worth = ((contest.subset, own.worth if own.decided else rewardbench.NO_VERDICT) for contest, own in decided)
            return _rewardbench([rewardbench.Row(*row) for row in worth])
        case PairFormat.JUDGEBENCH:
            return judgebench.score(_both_alike(contest.subset, own) for contest, own in decided).official
        case PairFormat.RM_BENCH:
            won = ((contest.id, contest.subset, float(own.right)) for contest, own in decided)
            return rmbench.score(_matrices(won)).official
        case _:
            return None


def _tied(contest: Contest, own: Outcome) -> rewardbench2.Tied:
    kind, _, prompt = contest.id.removeprefix(f"{rewardbench2.TIES}/").partition(":")
    return rewardbench2.Tied(prompt, kind == "ref", len(contest.right), own.ratings)


def _both_alike(part: str, own: Outcome) -> judgebench.Row:
    """Ratings know no order, so both orders are decided alike; where neither answer is rated higher there is no decision."""
    decision = SAID[own.right] if own.decided and own.worth in (0, 1) else None
    return judgebench.Row(part, "A>B", decision, decision and judgebench.FLIPPED[decision])


def _rewardbench(rows: Sequence[rewardbench.Row]) -> Official:
    """Both overall scores in use, where there are Prior Sets: the old leaderboard counted them."""
    told = rewardbench.score(rows).official
    both = rewardbench.score(rows, prior_sets=True)
    if not both.details["prior_sets"] or both.overall is None:
        return told
    return told.model_copy(update={"beside": {WITH_PRIOR_SETS: both.overall.value}})


def item_of(layout: PairFormat, pair: str) -> str:
    """The item that a pair is of, by its name. Some benchmarks make several pairs of one item or prompt: MT-Bench has 80 questions."""
    if layout is PairFormat.MT_BENCH:
        return pair.partition("/")[0]
    if layout is PairFormat.REWARDBENCH2 and pair.startswith(rewardbench2.TIES):
        return pair.rpartition(":")[2]
    return pair.rpartition("/")[0] if layout in (PairFormat.RM_BENCH, PairFormat.PPE_CORRECTNESS) else pair


def stored_order(item: str) -> Order:
    """RewardBench shows each item in one order, drawn anew in each run of its code. Here it is drawn once, by the item's name."""
    return tuple(Order)[seed_of("rewardbench", item) % len(Order)]


def _in_stored_order(rulings: Sequence[Ruling]) -> list[rewardbench.Row]:
    return [
        rewardbench.Row(ruling.subset, rewardbench.NO_VERDICT if ruling.verdict is None else float(ruling.right))
        for ruling in rulings
        if ruling.order is stored_order(ruling.id)
    ]


def _both_orders(rulings: Sequence[Ruling]) -> list[judgebench.Row]:
    """Decisions as if the better answer were A everywhere; the metric is the same for both labels."""
    return [judgebench.Row(both[Order.AB].subset, "A>B", _decision(both[Order.AB]), _decision(both[Order.BA])) for both in _pairs(rulings)]


def _beside(rulings: Sequence[Ruling], people: Mapping[str, Sequence[str]]) -> list[mtbench.Row]:
    """The judge's votes beside people's. Opposite verdicts in the two orders are a tie, as in FastChat; a missing one is no vote."""
    known = ((both[Order.AB], _vote(both)) for both in _pairs(rulings))
    return [mtbench.Row(item_of(PairFormat.MT_BENCH, one.id), mtbench.turn_of(one.subset), vote, people[one.id]) for one, vote in known]


def _vote(both: Mapping[Order, Ruling]) -> str | None:
    if any(ruling.verdict is None for ruling in both.values()):
        return None
    right = [ruling.right for ruling in both.values()]
    return "chosen" if all(right) else mtbench.TIE if any(right) else "rejected"


def _pairs(rulings: Sequence[Ruling]) -> Iterable[Mapping[Order, Ruling]]:
    by_pair: dict[str, dict[Order, Ruling]] = defaultdict(dict)
    for ruling in rulings:
        by_pair[ruling.id][ruling.order] = ruling
    return by_pair.values()


def _decision(ruling: Ruling) -> str | None:
    return None if ruling.verdict is None else SAID[ruling.verdict is Order.AB.gold]


def _matrices(won: Iterable[tuple[str, str, float]]) -> list[rmbench.Row]:
    """What each style gains against each other one, from names of pairs, their domains, and what the right answer gains there."""
    items: dict[str, list[list[float]]] = defaultdict(lambda: [[0.0] * len(rmbench.STYLES) for _ in rmbench.STYLES])
    domains: dict[str, str] = {}
    for name, domain, gain in won:
        item, i, j = rmbench.cell_of(name)
        items[item][i][j] += gain
        domains[item] = domain
    return [rmbench.Row(domains[item], wins) for item, wins in items.items()]
