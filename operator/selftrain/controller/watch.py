"""The slow resync, and whether the watches are alive.

Every so often all runs are listed and looked at, so that a lost event costs one interval at most. The list also shows if
events have stopped for good: a watch that has not told of a change which the list showed one interval ago is dead, and
only a restart of the process helps (kopf can lose a watch and go on without it).
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

from selftrain.api.names import LABEL_MANAGED_BY, LABEL_RUN, MANAGED_BY
from selftrain.controller.work_queue import Key
from selftrain.kube.access import JOBS, RUNS, Resource
from selftrain.kube.client import ClusterError, Missing, Refused

log = logging.getLogger(__name__)

Object = dict[str, Any]


class ListingCluster(Protocol):
    """What the resync needs of a cluster."""

    async def metadata(self, resource: Resource, namespace: str | None, selector: str = "") -> list[Object]: ...


async def watchable(cluster: ListingCluster, namespaces: Iterable[str]) -> tuple[str, ...]:
    """Those whose runs may be listed. kopf ends at one that may not: a namespace takes its Role along when it is deleted."""
    found: list[str] = []
    for namespace in namespaces:
        try:
            await cluster.metadata(RUNS, namespace)
        except (Missing, Refused) as error:
            log.warning("namespace %s is left alone until its runs may be listed: %s", namespace, error)
        else:
            found.append(namespace)
    return tuple(found)


class Watch:
    """What the watch of one resource has told, compared with what lists show."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self._told: dict[str, str] = {}
        self._untold: dict[str, str | None] = {}
        self._dead = False

    def told(self, meta: Object, *, gone: bool) -> None:
        """An event of the watch."""
        if gone:
            self._told.pop(meta["uid"], None)
        else:
            self._told[meta["uid"]] = meta["resourceVersion"]

    def compare(self, listed: Iterable[Object]) -> None:
        """A list. What it shows must have been told by the next time, or at least something newer of the same object."""
        untold = {meta["uid"] for meta in listed if self._told.get(meta["uid"]) != meta["resourceVersion"]}
        self._dead = any(uid in untold and self._told.get(uid) == told for uid, told in self._untold.items())
        self._untold = {uid: self._told.get(uid) for uid in untold}

    def stalled(self) -> str:
        """What is stuck, in words; empty if nothing is."""
        return f"the watch of {self.resource.plural} tells nothing any more" if self._dead else ""


class Resync:
    """Lists everything now and then. `left_alone` are namespaces that are not watched, but would be if they could."""

    def __init__(
        self, cluster: ListingCluster, namespaces: tuple[str, ...], add: Callable[[Key], None], left_alone: Collection[str] = ()
    ) -> None:
        self._cluster = cluster
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._add = add
        self._left_alone = left_alone
        self.runs = Watch(RUNS)
        self.jobs = Watch(JOBS)

    async def run(self, seconds: float) -> None:
        """List until there is more to watch. The pauses vary, so that replicas of several clusters do not march in step."""
        while True:
            await asyncio.sleep(seconds * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, keeps no secret
            try:
                await self.once()
                if await watchable(self._cluster, self._left_alone):
                    log.info("more namespaces can be watched; starting anew")
                    return
            except ClusterError as error:
                log.warning("resync: %s", error)

    async def once(self) -> None:
        """Look at every run, and compare with the watches."""
        runs = [meta for place in self._namespaces for meta in await self._cluster.metadata(RUNS, place)]
        selector = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_RUN}"
        jobs = [meta for place in self._namespaces for meta in await self._cluster.metadata(JOBS, place, selector)]
        self.runs.compare(runs)
        self.jobs.compare(jobs)
        for meta in runs:
            self._add(Key(meta["namespace"], meta["name"]))
