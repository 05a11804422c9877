"""A work queue by key: each run is looked at by one worker at a time, and soon again where a look failed.

Many events for one key become one look. A key that is added while it is being looked at is looked at once more, since the
event may tell of something that the look under way has missed.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
LONGEST_DELAY = 300.0
LOOK_SECONDS = 120.0
"""A look that takes longer is given up and tried again; each call within it has a shorter limit of its own."""
STALL_SECONDS = 180.0
"""A look that takes longer means that the queue is stuck, as does a key that waits while no look ends for so long."""


class Key(NamedTuple):
    """A run."""

    namespace: str
    name: str


Look = Callable[[Key], Awaitable[float | None]]
"""Looks at a run and says in how many seconds to look again, or None if events and the resync will do."""


class WorkQueue:
    """Keys, the workers that look at them, and timers for later looks."""

    def __init__(self, look: Look, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: dict[Key, float] = {}
        self._active: dict[Key, float] = {}
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._ended = clock()
        """When a look ended last."""

    def add(self, key: Key) -> None:
        """Look at the key as soon as a worker is free."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._clock()
            self._ready.put_nowait(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Look at the key after a while; the earliest of several wishes counts."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(max(seconds, 0.0), self._ring, key)

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    def stalled(self) -> str:
        """What is stuck, in words; empty if nothing is. A queue that is long but moves is not: a new process would have it too."""
        limit = self._clock() - STALL_SECONDS
        for what, since, moved in (("looked at", self._active, 0.0), ("waiting", self._waiting, self._ended)):
            stuck = [key for key, start in since.items() if max(start, moved) < limit]
            if stuck:
                return f"{'/'.join(stuck[0])} has been {what} for more than {STALL_SECONDS:.0f} s"
        return ""

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._active[key] = self._clock()
            del self._waiting[key]
            self._cancel_timer(key)
            try:
                delay = await self._try(key)
            finally:
                del self._active[key]
                self._ended = self._clock()
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif delay is not None:
                self.add_later(key, delay)

    async def _try(self, key: Key) -> float | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                delay = await self._look(key)
        except Exception:  # whatever went wrong with one run, the others go on and this one is tried again
            self._failures[key] = self._failures.get(key, 0) + 1
            delay = backoff(self._failures[key])
            log.exception("%s/%s: trying again in %.1f s", *key, delay)
            return delay
        self._failures.pop(key, None)
        return delay

    def _ring(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, with jitter so that runs do not march in step."""
    delay = min(FIRST_DELAY * 2.0 ** min(failures - 1, 16), LONGEST_DELAY)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
