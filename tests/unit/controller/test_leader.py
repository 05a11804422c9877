"""Election: one holder at a time, by this process's own clock, and an end before anybody else may begin."""

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from selftrain.controller import leader
from selftrain.controller.leader import Election, LeadershipLost
from selftrain.kube.client import ClusterError, Conflict


class Leases:
    """One Lease in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.down = False
        self.hangs = False
        self.version = 0

    async def lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        if self.hangs:
            await asyncio.sleep(60)
        if self.down:
            raise ClusterError
        return deepcopy(self.stored)

    async def write_lease(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        if self.down:
            raise ClusterError
        if lease["metadata"].get("resourceVersion") != (self.stored or {}).get("metadata", {}).get("resourceVersion"):
            raise Conflict
        self.version += 1
        self.stored = deepcopy(dict(lease))
        self.stored["metadata"] = {**self.stored["metadata"], "resourceVersion": str(self.version)}
        return deepcopy(self.stored)

    @property
    def holder(self) -> str:
        return (self.stored or {}).get("spec", {}).get("holderIdentity", "")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sleeping moves the clock instead of waiting."""
    clock, real = Clock(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await real(0)

    monkeypatch.setattr(leader.asyncio, "sleep", sleep)
    return clock


def election(leases: Leases, clock: Clock, identity: str = "a") -> Election:
    return Election(leases, "system", "lease", identity, clock)


async def test_the_first_takes_it_and_the_second_waits(leases: Leases, clock: Clock) -> None:
    first, second = election(leases, clock), election(leases, clock, "b")
    await first.acquire()
    assert not await second._try()
    assert leases.holder == "a"


async def test_a_lease_that_is_renewed_is_never_taken(leases: Leases, clock: Clock) -> None:
    first, second = election(leases, clock), election(leases, clock, "b")
    await first.acquire()
    for _ in range(20):
        clock.now += 5
        assert await first._try()
        assert not await second._try()


async def test_a_lease_that_is_not_renewed_is_taken_after_it_has_run_out(leases: Leases, clock: Clock) -> None:
    first, second = election(leases, clock), election(leases, clock, "b")
    await first.acquire()
    await second.acquire()
    assert leases.holder == "b"
    assert clock.now > leader.LEASE_SECONDS
    assert leases.stored is not None
    assert leases.stored["spec"]["leaseTransitions"] == 2


async def test_a_holder_ends_before_anybody_else_may_begin(leases: Leases, clock: Clock) -> None:
    holder = election(leases, clock)
    await holder.acquire()
    renewed = clock.now
    leases.down = True
    with pytest.raises(LeadershipLost):
        await holder.hold()
    assert clock.now - renewed <= leader.RENEW_DEADLINE < leader.LEASE_SECONDS


async def test_a_short_failure_is_survived(leases: Leases, clock: Clock) -> None:
    holder = election(leases, clock)
    await holder.acquire()
    task = asyncio.create_task(holder.hold())
    leases.down = True
    while clock.now < 4:  # noqa: ASYNC110 - a test may poll
        await asyncio.sleep(0)
    leases.down = False
    while clock.now < 60:  # noqa: ASYNC110 - a test may poll
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()


async def test_a_holder_that_was_overtaken_ends_at_once(leases: Leases, clock: Clock) -> None:
    holder = election(leases, clock)
    await holder.acquire()
    assert leases.stored is not None
    leases.stored["spec"] |= {"holderIdentity": "b", "renewTime": "later"}
    with pytest.raises(LeadershipLost):
        await holder.hold()


async def test_a_call_without_an_answer_counts_as_a_failure(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RETRY_SECONDS", 0.01)
    leases.hangs = True
    assert not await election(leases, Clock())._try()


async def test_after_a_release_the_next_one_starts_at_once(leases: Leases, clock: Clock) -> None:
    first, second = election(leases, clock), election(leases, clock, "b")
    await first.acquire()
    await first.release()
    assert await second._try()


async def test_the_same_pod_goes_on_after_a_restart(leases: Leases, clock: Clock) -> None:
    await election(leases, clock).acquire()
    assert await election(leases, clock)._try()


def test_an_election_that_nobody_tries_is_a_stall(leases: Leases) -> None:
    clock = Clock()
    waiting = election(leases, clock)
    assert waiting.stalled() == ""
    clock.now = 60
    assert "60 s" in waiting.stalled()


async def test_who_never_led_has_nothing_to_release(leases: Leases, clock: Clock) -> None:
    await election(leases, clock).release()
    assert leases.stored is None
