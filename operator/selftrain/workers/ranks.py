"""What ranks tell each other beside gradients: small things, through the CPU, so that no GPU waits in a kernel for them."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""How long the others wait while one rank uploads. A rank that dies is noticed at once, by its closed connection."""


class Ranks:
    """All ranks of the training, seen from one of them. Every method must be called by all."""

    def __init__(self) -> None:
        self.rank: int = distributed.get_rank()
        self.count: int = distributed.get_world_size()
        self._group = distributed.new_group(backend="gloo", timeout=PATIENCE)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks."""
        sums = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(sums, group=self._group)
        return [float(value) for value in sums]

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first rank makes, for all."""
        shared: list[T | None] = [make() if self.is_first else None]
        distributed.broadcast_object_list(shared, src=0, group=self._group)
        return shared[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in order of ranks."""
        values: list[T | None] = [None] * self.count
        distributed.all_gather_object(values, value, group=self._group)
        return values  # type: ignore[return-value]

    def wait(self) -> None:
        """Until all are here."""
        distributed.barrier(group=self._group)
