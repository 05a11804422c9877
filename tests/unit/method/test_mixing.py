"""Mixing: the share is met, and no more is left out than it takes."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.method.mixing import mixed

SHARES = st.fractions(min_value=0, max_value=1, max_denominator=1000)
SIZES = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("labelled", "synthetic", "share", "kept"),
    [
        (100, 100, "0.5", (100, 100)),
        (100, 40, "0.5", (40, 40)),
        (10, 100, "0.25", (10, 30)),
        (10, 7, "0.3", (3, 7)),
        (10, 100, "0", (0, 100)),
        (10, 100, "1", (10, 0)),
        (0, 100, "0.5", (0, 0)),
        (0, 100, "0", (0, 100)),
    ],
)
def test_sizes(labelled: int, synthetic: int, share: str, kept: tuple[int, int]) -> None:
    assert mixed(labelled, synthetic, Fraction(share)) == kept


@given(SIZES, SIZES, SHARES)
def test_the_share_is_met_to_less_than_one_pair(labelled: int, synthetic: int, share: Fraction) -> None:
    kept_labelled, kept_synthetic = mixed(labelled, synthetic, share)
    assert 0 <= kept_labelled <= labelled
    assert 0 <= kept_synthetic <= synthetic
    assert abs(kept_labelled - share * (kept_labelled + kept_synthetic)) < 1


@given(SIZES, SIZES, SHARES)
def test_no_more_is_left_out_than_needed(labelled: int, synthetic: int, share: Fraction) -> None:
    kept_labelled, kept_synthetic = mixed(labelled, synthetic, share)
    assert kept_labelled == labelled or kept_synthetic == synthetic
    if kept_synthetic < synthetic:
        assert share * (kept_labelled + kept_synthetic + 1) > kept_labelled
    if kept_labelled < labelled:
        assert (1 - share) * (kept_labelled + kept_synthetic + 1) > kept_synthetic
