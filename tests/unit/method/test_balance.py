"""What goes with training examples that do not fit."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Drop
from selftrain.method.balance import left_out

PAIRS = [(str(pair), order) for pair in range(10) for order in ("AB", "BA")]


def test_nothing_goes_where_all_fits() -> None:
    """Even if it was not even: the selection decides that."""
    assert left_out([("1", "AB"), ("2", "AB")], (), mirrored=True) == {}


def test_the_other_order_goes_too_where_both_are_asked_for() -> None:
    drops = left_out(PAIRS, (0, 4), mirrored=True)
    assert drops == {0: Drop.TOO_LONG, 1: Drop.MIRROR_NOT_KEPT, 4: Drop.TOO_LONG, 5: Drop.MIRROR_NOT_KEPT}


def test_the_letter_that_is_left_more_often_loses_the_ones_drawn_last() -> None:
    drops = left_out(PAIRS, (0, 2, 4, 5), mirrored=False)
    assert drops == {0: Drop.TOO_LONG, 2: Drop.TOO_LONG, 4: Drop.TOO_LONG, 5: Drop.TOO_LONG, 17: Drop.UNBALANCED, 19: Drop.UNBALANCED}


def test_an_ordered_pair_with_several_contrasts_counts_once() -> None:
    """What is even are ordered pairs; one of which a contrast fits is still learnt."""
    prompts = [("1", "AB")] * 3 + [("1", "BA")] + [("2", "AB"), ("2", "BA")]
    assert left_out(prompts, (0,), mirrored=True) == {0: Drop.TOO_LONG}
    assert left_out(prompts, (0, 1, 2), mirrored=True) == {**dict.fromkeys((0, 1, 2), Drop.TOO_LONG), 3: Drop.MIRROR_NOT_KEPT}
    assert left_out(prompts, (0, 1, 2), mirrored=False) == {**dict.fromkeys((0, 1, 2), Drop.TOO_LONG), 5: Drop.UNBALANCED}


def test_a_pair_that_was_selected_in_one_order_is_not_torn() -> None:
    """DPO has pairs with a contrast in one order only: all judgments of the other one were right."""
    prompts = [("1", "AB"), ("2", "BA"), ("3", "AB"), ("3", "BA"), ("4", "AB"), ("4", "BA")]
    assert left_out(prompts, (4,), mirrored=True) == {4: Drop.TOO_LONG, 5: Drop.MIRROR_NOT_KEPT}


@given(st.sets(st.integers(0, 19), min_size=1), st.booleans())
def test_what_is_left_is_even(unfit: set[int], mirrored: bool) -> None:
    drops = left_out(PAIRS, unfit, mirrored=mirrored)
    left = [prompt for number, prompt in enumerate(PAIRS) if number not in drops]
    assert {number for number, reason in drops.items() if reason is Drop.TOO_LONG} == unfit
    orders = Counter(order for _, order in left)
    assert orders["AB"] == orders["BA"]
    if mirrored:
        assert set(Counter(pair for pair, _ in left).values()) <= {2}
