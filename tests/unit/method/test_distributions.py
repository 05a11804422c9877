from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Grams, Lengths, Order
from selftrain.method.distributions import RATES, Alike, by_order, distinct, entropy, lengths, mean_entropy, pass_rates


def test_quantiles_by_hand() -> None:
    told = lengths(dict.fromkeys(range(1, 11), 1))
    assert told == Lengths(count=10, total=55, tenth=1, median=5, nine_tenths=9, longest=10)
    assert lengths({7: 1}) == Lengths(count=1, total=7, tenth=7, median=7, nine_tenths=7, longest=7)
    assert lengths({7: 0}) == Lengths()


@given(st.lists(st.integers(0, 50), min_size=1))
def test_a_quantile_is_the_shortest_length_that_is_not_exceeded_by_its_share(said: list[int]) -> None:
    told = lengths(Counter(said))
    for tenths, quantile in ((1, told.tenth), (5, told.median), (9, told.nine_tenths)):
        assert 10 * sum(length <= quantile for length in said) >= tenths * len(said)
        assert 10 * sum(length < quantile for length in said) < tenths * len(said)


@pytest.mark.parametrize(
    ("right", "judgments", "name"),
    [(0, 4, "0"), (4, 4, "1"), (1, 15, "below 0.1"), (3, 15, "below 0.3"), (2, 4, "below 0.6"), (14, 15, "below 1"), (9, 10, "below 1")],
)
def test_a_pass_rate_has_one_bin(right: int, judgments: int, name: str) -> None:
    bins = pass_rates([Alike(Order.BA, 0, right, judgments, is_kept=True, pairs=3)])
    assert bins == dict.fromkeys(RATES, 0) | {name: 3}


def test_entropy_by_hand() -> None:
    assert entropy((4, 0, 0)) == 0
    assert entropy((2, 2, 0)) == 1
    assert entropy((1, 1, 2)) == 1.5
    certain, torn = (Alike(Order.AB, 4, 0, 4, is_kept=True, pairs=3), Alike(Order.AB, 2, 2, 4, is_kept=True, pairs=1))
    assert mean_entropy([certain, torn]) == mean_entropy([torn, certain]) == 0.25
    assert mean_entropy([]) == 0


def test_verdicts_are_counted_by_order() -> None:
    orders = by_order([Alike(Order.AB, 3, 1, 5, is_kept=True, pairs=2), Alike(Order.BA, 3, 2, 5, is_kept=False, pairs=1)])
    assert (orders[Order.AB].correct, orders[Order.AB].a_verdicts, orders[Order.AB].unparsed, orders[Order.AB].total) == (6, 6, 2, 10)
    assert (orders[Order.BA].correct, orders[Order.BA].a_verdicts, orders[Order.BA].unparsed, orders[Order.BA].total) == (2, 3, 0, 5)


def test_repetition_is_counted_without_case_and_punctuation() -> None:
    assert distinct(["A is better.", "a IS worse!"]) == {1: Grams(total=6, distinct=4), 2: Grams(total=4, distinct=3)}
    assert distinct(["", "one"]) == {1: Grams(total=1, distinct=1), 2: Grams(total=0, distinct=0)}


def test_no_text_counts_with_more_than_its_first_words() -> None:
    long, longer = (" ".join(map(str, range(size))) for size in (200, 9000))
    assert distinct([longer]) == distinct([long])
