"""Intervals and tests, against values computed by hand or published."""

import random
from math import comb

import pytest

from selftrain.method.stats import effective, paired, sign_test, wilson


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (150, 300, 0.4438, 0.5562)],
)
def test_wilson(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_ends_at_the_ends() -> None:
    for total in range(1, 400):
        assert wilson(0, total)[0] == 0.0
        assert wilson(total, total)[1] == 1.0


def test_the_sign_test_is_the_two_sided_binomial_test() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 3) == 1.0
    assert sign_test(5, 0) == sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(10, 2) == pytest.approx(2 * sum(comb(12, k) for k in range(3)) / 2**12)


def test_large_counts_do_not_overflow() -> None:
    assert 0 <= sign_test(20_000, 10_000) < 1e-300


def test_judgments_of_one_item_count_together() -> None:
    """The second judge has one more right in each order of one pair: that is one pair won, and no two."""
    said = [("x", True, False), ("x", True, False), ("y", True, False), ("y", False, True), ("z", False, True)]
    assert paired(said) == {"wins": 1, "losses": 1, "p": 1.0}


def test_as_many_are_independent_as_their_items_differ() -> None:
    assert effective([]) == 0
    assert effective([(1, 2)]) == 1
    assert effective([(2, 2)] * 50) == effective([(0, 2)] * 50) == 50, "nothing differs: nothing says that two orders are more than one"
    assert effective([(1, 2)] * 50) == 100, "orders that make up for each other are no less certain than independent ones"
    assert effective([(2, 2)] * 30 + [(0, 2)] * 20) == 50, "both stand and fall together"
    assert effective([(1, 1)] * 30 + [(0, 1)] * 20) == 50
    assert effective([(9, 9)] + [(1, 1)] * 9) == pytest.approx(18**2 / 90), "one of them is half of all that was said"


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9, 1.0])
def test_intervals_hold_what_they_promise(kept: float) -> None:
    """Judges that are right with 0.7, on 160 pairs; the second order repeats the first one's outcome with the given chance."""
    draw, missed, runs = random.Random(7), 0, 2000
    for _ in range(runs):
        items = [_both(draw, kept) for _ in range(160)]
        right, independent = sum(own for own, _ in items), effective(items)
        low, high = wilson(right / 320 * independent, independent)
        missed += not low <= 0.7 <= high
    assert missed / runs == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("sizes", [(1, 2, 3, 4, 5), (1, 1, 1, 2, 3, 5), tuple(range(1, 21))])
def test_large_items_are_not_several(sizes: tuple[int, ...]) -> None:
    """300 items that stand or fall as a whole, some with more judgments than others."""
    draw, missed, runs = random.Random(7), 0, 2000
    for _ in range(runs):
        items = [(size * (draw.random() < 0.7), size) for size in (sizes * 300)[:300]]
        total, independent = sum(of for _, of in items), effective(items)
        low, high = wilson(sum(own for own, _ in items) / total * independent, independent)
        missed += not low <= 0.7 <= high
    assert missed / runs == pytest.approx(0.05, abs=0.02)


def _both(draw: random.Random, kept: float) -> tuple[int, int]:
    first = draw.random() < 0.7
    second = first if draw.random() < kept else draw.random() < 0.7
    return first + second, 2
