"""Intervals and tests, against values computed by hand or published."""

from math import comb

import pytest

from selftrain.method.stats import mcnemar, wilson


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (150, 300, 0.4438, 0.5562)],
)
def test_wilson(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_mcnemar_is_the_two_sided_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(5, 0) == mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(10, 2) == pytest.approx(2 * sum(comb(12, k) for k in range(3)) / 2**12)


def test_large_counts_do_not_overflow() -> None:
    assert 0 <= mcnemar(20_000, 10_000) < 1e-300
