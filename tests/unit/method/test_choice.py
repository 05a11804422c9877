from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Tally
from selftrain.method.choice import choose


def tally(correct: int, pairs: int) -> Tally:
    return Tally(strict_correct=correct, pairs=pairs)


def test_the_largest_share_wins_and_of_equal_ones_the_earliest() -> None:
    assert choose({3: tally(9, 12), 1: tally(6, 12), 2: tally(9, 12)}) == 2
    assert choose({1: tally(2, 6), 2: tally(1, 3)}) == 1
    assert choose({1: tally(0, 3), 2: tally(0, 3)}) == 1


def test_without_pairs_there_is_nothing_to_choose_by() -> None:
    assert choose({}) is None
    assert choose({1: tally(0, 0)}) is None
    assert choose({1: tally(0, 0), 2: tally(0, 5)}) == 2


@given(st.dictionaries(st.integers(1, 50), st.integers(0, 20), min_size=1))
def test_none_is_better_than_the_chosen_one(right: dict[int, int]) -> None:
    best = choose({iteration: tally(correct, 20) for iteration, correct in right.items()})
    assert best is not None
    assert all(correct < right[best] or (correct == right[best] and iteration >= best) for iteration, correct in right.items())
