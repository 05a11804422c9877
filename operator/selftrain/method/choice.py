"""Which of a run's judges to use, decided on held-out pairs whose labels nobody gave, and never on a benchmark.

Source: EvalPlanner (arXiv 2501.18099) chooses checkpoints on held-out synthetic pairs in both orders.
"""

from collections.abc import Mapping
from fractions import Fraction

from selftrain.api.records import Tally


def choose(tallies: Mapping[int, Tally]) -> int | None:
    """The iteration with the largest share of pairs right in both orders, of equal ones the earliest; None if there are no pairs."""
    shares = {iteration: Fraction(tally.strict_correct, tally.pairs) for iteration, tally in sorted(tallies.items()) if tally.pairs}
    return max(shares, key=shares.__getitem__, default=None)
