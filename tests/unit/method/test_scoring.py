"""Votes, and scores with their baselines."""

from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Order, Tally, Verdict
from selftrain.method.scoring import Ruling, interval, score, strict_interval, tally
from selftrain.method.stats import wilson
from selftrain.method.votes import majority

A, B = Verdict.A, Verdict.B
RULINGS = [
    Ruling("1", "off-topic", Order.AB, A, 10, 4),
    Ruling("1", "off-topic", Order.BA, B, 10, 4),  # right in both
    Ruling("2", "near-miss", Order.AB, A, 3, 9),
    Ruling("2", "near-miss", Order.BA, A, 3, 9),  # always A
    Ruling("3", "near-miss", Order.AB, None, 5, 5),
    Ruling("3", "near-miss", Order.BA, B, 5, 5),
]


def test_majority() -> None:
    assert majority([A, A, B]) is A
    assert majority([B, None, None]) is B
    assert majority([A, B]) is None, "a tie is no verdict"
    assert majority([None]) is None
    assert majority([]) is None
    assert majority(["C", "A", "C", "B"]) == "C"
    assert majority(["C", "A", "B"]) is None


def test_scores() -> None:
    result = score("held-out", 1, RULINGS)
    assert result.overall == Tally(correct=4, total=6, unparsed=1, a_verdicts=3, strict_correct=1, pairs=3, effective=6.0)
    assert result.parts == {
        "near-miss": Tally(correct=2, total=4, unparsed=1, a_verdicts=2, strict_correct=0, pairs=2, effective=4.0),
        "off-topic": Tally(correct=2, total=2, a_verdicts=1, strict_correct=1, pairs=1, effective=1.0),
    }
    assert result.orders == {
        Order.AB: Tally(correct=2, total=3, unparsed=1, a_verdicts=2),
        Order.BA: Tally(correct=2, total=3, a_verdicts=1),
    }


def test_baselines() -> None:
    result = score("held-out", 1, RULINGS)
    assert result.always_a == Tally(correct=3, total=6, a_verdicts=6, pairs=3, effective=6.0)
    assert (result.longer_wins.correct, result.longer_wins.strict_correct) == (2, 1), "equal lengths count as wrong"


def test_intervals_know_which_judgments_are_of_one_item() -> None:
    """Forty pairs, each right or wrong in both orders; then four of each are one item's."""

    def told(of_one: int) -> Tally:
        return tally([
            Ruling(str(pair), "", order, order.gold if pair // of_one % 2 else None, 1, 2, item=str(pair // of_one))
            for pair in range(40) for order in Order
        ])  # fmt: skip

    assert (told(1).effective, told(1).strict_effective) == (40, None)
    assert (told(4).effective, told(4).strict_effective) == (10, 10)
    assert interval(told(1)) == wilson(20, 40)
    assert strict_interval(told(1)) == wilson(20, 40)
    assert strict_interval(told(4)) == wilson(5, 10)


def test_pairs_without_a_subset_have_no_part() -> None:
    assert score("held-out", 1, [Ruling("1", "", Order.AB, A, 1, 2)]).parts == {}


verdicts = st.sampled_from([A, B, None])


@given(st.lists(st.tuples(verdicts, verdicts, st.sampled_from(["x", "y"])), max_size=20))
def test_parts_and_orders_add_up(pairs: list[tuple[Verdict | None, Verdict | None, str]]) -> None:
    rows = [
        Ruling(str(number), subset, order, verdict, 1, 2)
        for number, (first, second, subset) in enumerate(pairs)
        for order, verdict in ((Order.AB, first), (Order.BA, second))
    ]
    result = score("held-out", 1, rows)
    for count in ("correct", "total", "unparsed", "a_verdicts"):
        whole = getattr(result.overall, count)
        assert whole == sum(getattr(part, count) for part in result.parts.values())
        assert whole == sum(getattr(part, count) for part in result.orders.values())
    assert result.always_a.correct * 2 == result.always_a.total


def test_the_lenient_reading_stands_beside_the_strict_one() -> None:
    said_both = [Ruling("1", "", Order.AB, None, 1, 2, A, 2), Ruling("1", "", Order.BA, B, 1, 2, B, 1)]
    result = score("held-out", 3, said_both)
    assert (result.overall.correct, result.overall.unparsed) == (1, 1)
    assert (result.lenient.correct, result.lenient.unparsed) == (2, 0)
    assert result.disagreements == 3
