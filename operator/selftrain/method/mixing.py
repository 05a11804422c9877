"""How many of the labelled and of the synthetic pairs are kept, so that the labelled ones have a stated share."""

from fractions import Fraction
from math import floor


def mixed(labelled: int, synthetic: int, share: Fraction) -> tuple[int, int]:
    """As many of both as there can be for `share` of them to be labelled. One source stays whole, the other is rounded down."""
    if share and share * synthetic >= (1 - share) * labelled:
        return labelled, floor(labelled * (1 - share) / share)
    return floor(synthetic * share / (1 - share)), synthetic
