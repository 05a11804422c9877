"""Shards that are made in several steps, each of which waits for the engine: while one waits, others are asked about.

Step by step the engine would run empty at each step's end, and most completions of a small shard are sampled in a nearly empty one.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field

from selftrain.workers.engine import Request
from selftrain.workers.sampling import Sampled, Sampler
from selftrain.workers.shards import Made

Steps = Generator[list[Request], Sampled, Made]
"""The making of a shard: it asks, and goes on with what was sampled."""


def in_flow(sampler: Sampler, shards: Iterable[tuple[int, Steps]]) -> Iterator[tuple[int, Made]]:
    """Shards as they are made. Another one is begun where those under way leave the engine room."""
    flow = _Flow(iter(shards))
    for (shard, steps), sampled in sampler.sample(flow.batches()):
        flow.go_on(shard, steps, sampled)
        yield from flow.taken()
    yield from flow.taken()


@dataclass
class _Flow:
    """Shards under way."""

    shards: Iterator[tuple[int, Steps]]
    ready: deque[tuple[int, Steps, list[Request]]] = field(default_factory=deque)
    """Those that have something to ask."""
    made: deque[tuple[int, Made]] = field(default_factory=deque)
    asked: int = 0
    """How many wait for the engine."""

    def batches(self) -> Iterator[tuple[tuple[int, Steps], list[Request]] | None]:
        """What to ask next, of shards begun before others; nothing for now where all under way wait for the engine."""
        while True:
            if not self.ready:
                self._begin()
            if self.ready:
                shard, steps, requests = self.ready.popleft()
                self.asked += 1
                yield (shard, steps), requests
            elif self.asked:
                yield None
            else:
                return

    def go_on(self, shard: int, steps: Steps, sampled: Sampled) -> None:
        """A shard's answers are here."""
        self.asked -= 1
        self._step(shard, steps, sampled)

    def taken(self) -> Iterator[tuple[int, Made]]:
        """Shards that are done."""
        while self.made:
            yield self.made.popleft()

    def _begin(self) -> None:
        """The next shard that asks anything."""
        for shard, steps in self.shards:
            self._step(shard, steps, None)
            if self.ready:
                return

    def _step(self, shard: int, steps: Steps, sampled: Sampled | None) -> None:
        try:
            requests = next(steps) if sampled is None else steps.send(sampled)
        except StopIteration as end:
            self.made.append((shard, end.value))
        else:
            self.ready.append((shard, steps, requests))
