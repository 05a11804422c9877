"""Only one replica acts: the one that holds the Lease. The others wait, and take over when it is no longer renewed.

kopf's peering is no leader election (equal priorities pause everyone), and the elector in the `kubernetes` package waits
without limit for an answer and takes a dropped connection for a reason to die; hence this one. Only differences of this
process's monotonic clock count; the times in the Lease are for people.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from selftrain.kube.client import ClusterError, Conflict

log = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
"""How long a Lease holds without renewal."""
RENEW_DEADLINE = 10.0
"""When a holder that could not renew gives up: before anybody else may take over."""
RENEW_SECONDS = 5.0
RETRY_SECONDS = 2.0

Object = dict[str, Any]


class LeadershipLost(Exception):  # noqa: N818 - names the situation
    """The Lease could not be renewed in time; another replica may act from now on."""


class LeaseCluster(Protocol):
    """What the election needs of a cluster."""

    async def lease(self, namespace: str, name: str) -> Object | None: ...
    async def write_lease(self, lease: Mapping[str, Any]) -> Object: ...


class Election:
    """One replica's part in the election."""

    def __init__(
        self, cluster: LeaseCluster, namespace: str, name: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._place = {"namespace": namespace, "name": name}
        self._identity = identity
        self._clock = clock
        self._seen: tuple[Any, Any] = (None, None)
        self._seen_at = clock()
        self._tried_at = clock()
        self._lease: Object = {}

    async def acquire(self) -> None:
        """Wait until this replica holds the Lease."""
        while not await self._try():  # noqa: ASYNC110 - a Lease sends no event that could be waited for
            await asyncio.sleep(RETRY_SECONDS)
        log.info("%s holds the lease %s", self._identity, self._place["name"])

    async def hold(self) -> NoReturn:
        """Renew for ever. Raises `LeadershipLost` once the deadline has passed or somebody else holds the Lease."""
        renewed = self._clock()
        while True:
            started = self._clock()
            if await self._try():
                renewed = started
                await asyncio.sleep(RENEW_SECONDS)
                continue
            if self._clock() - renewed > RENEW_DEADLINE - RETRY_SECONDS or self._held_by_other():
                raise LeadershipLost(self._identity)
            await asyncio.sleep(RETRY_SECONDS)

    async def release(self) -> None:
        """Let the next replica start at once. Of no consequence if it fails: the Lease runs out by itself."""
        if not self._lease:
            return
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._cluster.write_lease({**self._lease, "spec": spec})
        except (ClusterError, TimeoutError) as error:
            log.info("the lease could not be released: %s", error)

    def stalled(self) -> str:
        """What is stuck, in words; empty if nothing is."""
        age = self._clock() - self._tried_at
        return f"the lease has not been looked at for {age:.0f} s" if age > 2 * LEASE_SECONDS else ""

    async def _try(self) -> bool:
        """One attempt to take or renew the Lease, within the time there is for it."""
        self._tried_at = self._clock()
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                lease = await self._cluster.lease(**self._place)
                if lease is not None and not self._free(lease):
                    return False
                self._lease = await self._cluster.write_lease(self._claimed(lease))
        except (ClusterError, TimeoutError) as error:
            level = logging.DEBUG if isinstance(error, Conflict) else logging.WARNING
            log.log(level, "the lease could not be renewed: %s", error or type(error).__name__)
            return False
        self._see(self._lease)
        return True

    def _free(self, lease: Object) -> bool:
        """Whether the Lease is ours, nobody's, or has not changed for as long as it holds."""
        self._see(lease)
        holder = lease.get("spec", {}).get("holderIdentity")
        return holder in (self._identity, "", None) or self._clock() - self._seen_at > LEASE_SECONDS

    def _see(self, lease: Object) -> None:
        spec = lease.get("spec", {})
        seen = (spec.get("holderIdentity"), spec.get("renewTime"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()

    def _held_by_other(self) -> bool:
        return self._seen[0] not in (self._identity, "", None)

    def _claimed(self, lease: Object | None) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: TID251 - for people; nothing is decided by it
        old = (lease or {}).get("spec", {})
        ours = old.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(LEASE_SECONDS),
            "acquireTime": old["acquireTime"] if ours else now,
            "renewTime": now,
            "leaseTransitions": old.get("leaseTransitions", 0) + (0 if ours else 1),
        }
        fresh = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": self._place}
        return {**(lease or fresh), "spec": spec}
