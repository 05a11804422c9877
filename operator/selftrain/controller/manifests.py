"""Manifests of finished stages, read with the operator's own identity in threads, and kept because they never change.

A store that does not answer costs one look that waits for it, however many runs it holds: their other looks are told at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.api.names import Layout
from selftrain.api.records import Manifest
from selftrain.api.stages import Step
from selftrain.api.v1alpha1 import SelfTrainRun, StoreSpec
from selftrain.planning.steps import steps
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store
from selftrain.storage.protocol import ObjectStore

KEPT_MANIFESTS = 8192
"""About 1 KB each once their parts and evidence are left out."""
KEPT_STORES = 32
"""Each holds a client of a few MB."""
READ_SECONDS = 20.0
THREADS = 16

K = TypeVar("K")
V = TypeVar("V")
Server = tuple[str | None, str]
Address = tuple[str, Server]
Reading = tuple[Address, str]


open_hastily = partial(open_store, hasty=True)


class ManifestReader:
    """Reads the manifests of a run up to the first that is missing: nothing behind it matters yet."""

    def __init__(self, opener: Callable[[StoreSpec], ObjectStore] = open_hastily) -> None:
        self._open = opener
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._stores: Recent[Address, ObjectStore] = Recent(KEPT_STORES)
        self._manifests: Recent[tuple[Address, str], Manifest] = Recent(KEPT_MANIFESTS)
        self._reading: dict[Reading, asyncio.Future[dict[Step, Manifest]]] = {}
        self._silent: set[Server] = set()
        """Servers that somebody has waited for in vain and that have not answered since."""

    async def read(self, run: SelfTrainRun) -> dict[Step, Manifest]:
        """Manifests by step. Raises `UserError` or `PlatformError` if the store cannot be read."""
        if run.spec.store.uri.startswith("file:"):
            message = "spec.store.uri: a pod cannot see the files of another machine"
            raise UserError(Reason.STORE_NOT_FOUND, message, "use s3://bucket/prefix")
        _, server = address = _address(run.spec.store)
        if server in self._silent and any(asked == server for (_, asked), _ in self._reading):
            raise _unanswered(run)
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await asyncio.shield(self._begin((address, _layout(run).root), run))
        except TimeoutError as error:
            self._silent.add(server)
            raise _unanswered(run) from error

    def close(self) -> None:
        """Let go of the threads; reads under way are of no use to anybody."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: Reading, run: SelfTrainRun) -> asyncio.Future[dict[Step, Manifest]]:
        """The read of a run's manifests: the one under way if there is one."""
        if key not in self._reading:
            self._reading[key] = asyncio.get_running_loop().run_in_executor(self._pool, self._read, run)
            self._reading[key].add_done_callback(lambda done: self._end(key, done))
        return self._reading[key]

    def _end(self, key: Reading, done: asyncio.Future[dict[Step, Manifest]]) -> None:
        (_, server), _ = key
        del self._reading[key]
        if done.cancelled():
            return
        error = done.exception()  # seen here too, in case that whoever asked has given up
        if not (isinstance(error, SelfTrainError) and error.reason is Reason.STORE_UNAVAILABLE):
            self._silent.discard(server)

    def _read(self, run: SelfTrainRun) -> dict[Step, Manifest]:
        address, layout = _address(run.spec.store), _layout(run)
        try:
            return self._read_from(address, layout, run)
        except UserError as error:
            if error.reason is Reason.STORE_ACCESS_DENIED:
                self._stores.drop(address)  # a client that once found no credentials looks for none again
            raise

    def _read_from(self, address: Address, layout: Layout, run: SelfTrainRun) -> dict[Step, Manifest]:
        found: dict[Step, Manifest] = {}
        for step in steps(run.spec):
            key = (address, layout.manifest(step))
            manifest = self._manifests.get(key) or read_manifest(self._store(address, run.spec.store), layout, step)
            if manifest is None:
                return found
            # Nobody here reads the list of parts, which may have a hundred thousand entries, or what a training set is made of.
            found[step] = self._manifests.keep(key, manifest.model_copy(update={"parts": [], "evidence": None}))
        return found

    def _store(self, address: Address, spec: StoreSpec) -> ObjectStore:
        return self._stores.get(address) or self._stores.keep(address, self._open(spec))


def _address(store: StoreSpec) -> Address:
    return store.uri, (store.endpoint, store.region)


def _unanswered(run: SelfTrainRun) -> PlatformError:
    message = f"{run.spec.store.uri} has not answered within {READ_SECONDS:.0f} s"
    return PlatformError(Reason.STORE_UNAVAILABLE, message, "check the endpoint and the network")


def _layout(run: SelfTrainRun) -> Layout:
    return Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)


class Recent(Generic[K, V]):
    """The newest so many values. Threads share it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """The value, which is young again by being asked for."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def drop(self, key: K) -> None:
        """Forget a value, if it is there."""
        with self._lock:
            self._values.pop(key, None)

    def keep(self, key: K, value: V) -> V:
        """Add a value and let the oldest go."""
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value
