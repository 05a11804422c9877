"""The queue: one look a key at a time, nothing lost, failures tried again, stalls seen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from selftrain.controller import work_queue
from selftrain.controller.work_queue import Key, WorkQueue, backoff

A, B = Key("team", "a"), Key("team", "b")


@asynccontextmanager
async def running(queue: WorkQueue, workers: int = 2) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(workers))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Looks:
    """Counts looks; `hold` keeps them open."""

    def __init__(self, answer: Callable[[Key], Awaitable[float | None]] | None = None) -> None:
        self.seen: list[Key] = []
        self.open = 0
        self.most_open: dict[Key, int] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self._answer = answer

    async def __call__(self, key: Key) -> float | None:
        self.seen.append(key)
        self.open += 1
        try:
            await self.hold.wait()
            return await self._answer(key) if self._answer else None
        finally:
            self.open -= 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(1.5):
        while not condition():  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.001)


async def test_many_events_are_one_look() -> None:
    looks = Looks()
    queue = WorkQueue(looks)
    for _ in range(50):
        queue.add(A)
    async with running(queue):
        await until(lambda: bool(looks.seen))
        await asyncio.sleep(0.01)
    assert looks.seen == [A]


async def test_an_event_during_a_look_is_looked_at_afterwards_and_never_at_the_same_time() -> None:
    looks = Looks()
    looks.hold.clear()
    queue = WorkQueue(looks)
    async with running(queue):
        queue.add(A)
        await until(lambda: looks.open == 1)
        queue.add(A)
        queue.add(A)
        await asyncio.sleep(0.01)
        assert looks.seen == [A]
        looks.hold.set()
        await until(lambda: looks.seen == [A, A])
        await asyncio.sleep(0.01)
    assert looks.seen == [A, A]


async def test_different_keys_are_looked_at_at_the_same_time_up_to_the_number_of_workers() -> None:
    looks = Looks()
    looks.hold.clear()
    queue = WorkQueue(looks)
    async with running(queue, workers=2):
        for key in (A, B, Key("team", "c")):
            queue.add(key)
        await until(lambda: looks.open == 2)
        await asyncio.sleep(0.01)
        assert looks.open == 2
        looks.hold.set()
        await until(lambda: len(looks.seen) == 3)


async def test_a_look_asks_for_the_next_one() -> None:
    async def soon(_: Key) -> float | None:
        return 0.01 if len(looks.seen) < 3 else None

    looks = Looks(soon)
    queue = WorkQueue(looks)
    async with running(queue):
        queue.add(A)
        await until(lambda: len(looks.seen) == 3)
        await asyncio.sleep(0.03)
    assert len(looks.seen) == 3


async def test_the_earliest_of_several_wishes_counts() -> None:
    looks = Looks()
    queue = WorkQueue(looks)
    async with running(queue):
        queue.add_later(A, 60)
        queue.add_later(A, 0.01)
        queue.add_later(A, 30)
        await until(lambda: bool(looks.seen))


async def test_a_failing_run_is_tried_again_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(key: Key) -> float | None:
        if key == A and looks.seen.count(A) < 3:
            raise RuntimeError(key)
        return None

    monkeypatch.setattr(work_queue, "FIRST_DELAY", 0.005)
    looks = Looks(fails)
    queue = WorkQueue(looks)
    async with running(queue, workers=1):
        queue.add(A)
        queue.add(B)
        await until(lambda: looks.seen.count(A) == 3)
    assert looks.seen.count(B) == 1


async def test_a_look_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(key: Key) -> float | None:
        if looks.seen.count(key) == 1:
            await asyncio.sleep(60)
        return None

    monkeypatch.setattr(work_queue, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(work_queue, "FIRST_DELAY", 0.005)
    looks = Looks(hangs)
    queue = WorkQueue(looks)
    async with running(queue):
        queue.add(A)
        await until(lambda: looks.seen == [A, A])


def test_delays_double_up_to_a_limit() -> None:
    for failures, expected in ((1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (10_000, 300)):
        assert 0.75 * expected <= backoff(failures) <= 1.25 * expected


async def test_a_key_that_nobody_takes_is_a_stall() -> None:
    now = 0.0
    queue = WorkQueue(Looks(), clock=lambda: now)
    queue.add(A)
    assert queue.stalled() == ""
    now = 200.0
    assert "team/a" in queue.stalled()


async def test_a_long_queue_that_moves_is_no_stall() -> None:
    now = 0.0
    looks = Looks()
    queue = WorkQueue(looks, clock=lambda: now)
    looks.hold.clear()
    async with running(queue, workers=1):
        for key in (A, B):
            queue.add(key)
        await until(lambda: looks.seen == [A])
        now = 170.0
        looks.hold.set()
        queue.add(A)
        await until(lambda: looks.seen == [A, B, A])
        looks.hold.clear()
        for key in (A, B):
            queue.add(key)
        await until(lambda: looks.open == 1)
        now = 340.0
        assert queue.stalled() == ""
        now = 360.0
        assert "team/" in queue.stalled()
