"""Which examples are learnt from together: updates, and within an update the micro-batches of each rank. Pure.

An update is fixed by the examples, the seed and tokensPerUpdate alone. Ranks, micro batch and sequence length only decide
how it is computed, so they do not change the gradient. Nothing is lost: every example is in exactly one update of an epoch.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import ceil
from random import Random

from selftrain.api.seeds import seed_of

Indexes = tuple[int, ...]
"""Examples by their place in the training set."""


def updates_of_epoch(lengths: Sequence[int], tokens_per_update: int, seed: int, epoch: int) -> list[Indexes]:
    """The epoch's updates, in order.

    The examples are shuffled and cut into the number of updates that brings their size closest to `tokens_per_update`.
    What would be left over is spread over all of them, so the last one is like the others.
    """
    order = Random(seed_of(seed, "train", "epoch", epoch)).sample(range(len(lengths)), len(lengths))
    total = sum(lengths)
    count = max(1, round(total / tokens_per_update))
    updates: list[list[int]] = [[] for _ in range(count)]
    start = 0
    for example in order:
        middle = 2 * start + lengths[example]  # in half tokens, so that it stays whole
        updates[middle * count // (2 * total)].append(example)
        start += lengths[example]
    return [tuple(update) for update in updates if update]  # one example may be as long as two updates


def micro_batches(update: Indexes, lengths: Sequence[int], ranks: int, capacity: int) -> list[list[Indexes]]:
    """For each rank its micro-batches: at most `capacity` tokens each, equally many for every rank, sizes about equal.

    Every rank must take part in every collective of a forward pass, so a rank with nothing to do gets an empty batch.
    """
    count = ranks * ceil(sum(lengths[example] for example in update) / (ranks * capacity))
    while (bins := _spread(update, lengths, count, capacity)) is None:
        count += ranks
    return [bins[rank::ranks] for rank in range(ranks)]


def single_batches(update: Indexes, lengths: Sequence[int], ranks: int) -> list[list[Indexes]]:
    """The same with one example in each, for models that would see from one into the next. Long ones meet long ones."""
    order = sorted(update, key=lambda example: (-lengths[example], example))
    shares = [[(example,) for example in order[rank::ranks]] for rank in range(ranks)]
    return [[*share, *[()] * (len(shares[0]) - len(share))] for share in shares]


def _spread(update: Indexes, lengths: Sequence[int], count: int, capacity: int) -> list[Indexes] | None:
    """The longest first, each to the emptiest bin: the fullest bin decides how long all ranks take. None if it overflows."""
    bins: list[list[int]] = [[] for _ in range(count)]
    heap = [(0, number) for number in range(count)]
    for example in sorted(update, key=lambda example: (-lengths[example], example)):
        load, number = heappop(heap)
        if load + lengths[example] > capacity:
            return None
        bins[number].append(example)
        heappush(heap, (load + lengths[example], number))
    return [tuple(sorted(content)) for content in bins]


def all_updates(lengths: Sequence[int], tokens_per_update: int, seed: int, epochs: int) -> Iterator[Indexes]:
    """The updates of all epochs, each with an order of its own."""
    for epoch in range(epochs):
        yield from updates_of_epoch(lengths, tokens_per_update, seed, epoch)
