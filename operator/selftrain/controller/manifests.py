"""Manifests of finished stages, read with the operator's own identity in threads, and kept because they never change.

A store that does not answer costs its own run a look, nothing else: reads of one run are shared, not piled up.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
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
Address = tuple[str, str | None, str]


class ManifestReader:
    """Reads the manifests of a run up to the first that is missing: nothing behind it matters yet."""

    def __init__(self, opener: Callable[[StoreSpec], ObjectStore] = open_store) -> None:
        self._open = opener
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._stores: Recent[Address, ObjectStore] = Recent(KEPT_STORES)
        self._manifests: Recent[tuple[Address, str], Manifest] = Recent(KEPT_MANIFESTS)
        self._reading: dict[tuple[Address, str], asyncio.Future[dict[Step, Manifest]]] = {}

    async def read(self, run: SelfTrainRun) -> dict[Step, Manifest]:
        """Manifests by step. Raises `UserError` or `PlatformError` if the store cannot be read."""
        if run.spec.store.uri.startswith("file:"):
            message = "spec.store.uri: a pod cannot see the files of another machine"
            raise UserError(Reason.STORE_NOT_FOUND, message, "use s3://bucket/prefix")
        key = (_address(run.spec.store), _layout(run).root)
        if key not in self._reading:
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._read, run)
            self._reading[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await asyncio.shield(self._reading[key])
        except TimeoutError as error:
            message = f"{run.spec.store.uri} has not answered within {READ_SECONDS:.0f} s"
            raise PlatformError(Reason.STORE_UNAVAILABLE, message, "check the endpoint and the network") from error

    def close(self) -> None:
        """Let go of the threads; reads under way are of no use to anybody."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: tuple[Address, str], done: asyncio.Future[dict[Step, Manifest]]) -> None:
        del self._reading[key]
        if not done.cancelled():
            done.exception()  # seen here too, in case that whoever asked has given up

    def _read(self, run: SelfTrainRun) -> dict[Step, Manifest]:
        address, layout = _address(run.spec.store), _layout(run)
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
    return store.uri, store.endpoint, store.region


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

    def keep(self, key: K, value: V) -> V:
        """Add a value and let the oldest go."""
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value
