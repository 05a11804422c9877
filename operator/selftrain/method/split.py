"""The split by instruction: both orders and all samples of a pair are on its instruction's side, whatever becomes of them."""

from collections.abc import Collection, Iterable
from heapq import nsmallest

from selftrain.api.records import Split
from selftrain.api.seeds import seed_of

HELD_OUT = "pairs held out"
"""The count of pairs whose instruction is held out."""


def hold_out(seed: int, instructions: Iterable[str], count: int) -> frozenset[str]:
    """The ids of `count` instructions, drawn by the run's seed. Which ones does not depend on their order."""
    return frozenset(nsmallest(count, instructions, key=lambda name: (seed_of(seed, "split", name), name)))


def split_of(form: str, held_out: Collection[str]) -> Split:
    """The side of an instruction, by its form or whatever else it is held out by."""
    return Split.VALIDATION if form in held_out else Split.TRAIN
