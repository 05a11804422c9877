"""Full training states in the store, for resuming. Files first, marker last; the newest two are kept.

    states/00000200-<nonce>/...     files of all ranks, never overwritten by another attempt
    states/00000200.json            marker: names them with size and digest

Every rank stores the files it wrote and fetches its own ones, so no pod needs room for another one's share.
"""

import logging
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from selftrain.api.base import ApiModel
from selftrain.api.records import Digest, Part
from selftrain.storage.commit import fetch_part
from selftrain.storage.digests import canonical_json, file_digest
from selftrain.storage.protocol import ObjectStore
from selftrain.workers.order import RunOrder
from selftrain.workers.ranks import Ranks
from selftrain.workers.trainer import Trainer

log = logging.getLogger(__name__)

KEPT = 2
TRANSFERS = 4
OWN = "zero_pp_rank_"
"""In the names of files that hold one rank's share; the others are for all ranks."""


class Progress(ApiModel):
    """How far a training is. The position in the data follows from it."""

    steps: int = 0
    """Updates done."""
    tokens: int = 0
    """Tokens trained on, prompts included."""
    seconds: float = 0.0
    losses: list[float] = []
    """Mean loss of every update."""


class Dtype(StrEnum):
    """What ranks compute in. An optimizer's state for one of these is none for the other."""

    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


class State(ApiModel):
    """Marker of a complete state."""

    work: Digest
    dtype: Dtype
    progress: Progress
    ranks: list[list[Part]]
    """Files by the rank that wrote them."""


class States:
    """The states of one run's iteration, as one rank handles them."""

    def __init__(self, store: ObjectStore, order: RunOrder, ranks: Ranks, folder: Path, dtype: Dtype) -> None:
        self._store, self._order, self._ranks, self._dtype = store, order, ranks, dtype
        self._prefix = order.work.layout.states(order.work.iteration)
        self._folder = folder / f"states-{ranks.rank}"

    def restore(self, trainer: Trainer) -> Progress:
        """Bring the trainer to the newest usable state, or leave it at the beginning."""
        found = self._ranks.from_first(self._newest)
        if found is None:
            return Progress()
        name, state = found
        mine = [part for rank, parts in enumerate(state.ranks) for part in parts if rank == self._ranks.rank or OWN not in part.key]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            list(pool.map(lambda part: fetch_part(self._store, part, self._folder / name / Path(part.key).name), mine))
        trainer.load(self._folder, name)
        shutil.rmtree(self._folder)
        log.info("going on from the state after update %d", state.progress.steps)
        return state.progress

    def save(self, trainer: Trainer, progress: Progress) -> None:
        """Store the state after an update."""
        name = f"{progress.steps:08d}"
        place = self._ranks.from_first(lambda: f"{self._prefix}{name}-{uuid4().hex[:8]}")
        files = trainer.save(self._folder, name)
        with ThreadPoolExecutor(TRANSFERS) as pool:
            parts = list(pool.map(lambda path: self._upload(path, place), files))
        shutil.rmtree(self._folder)
        written = self._ranks.gather(parts)  # the others' files are in the store once their parts are known
        if self._ranks.is_first:
            state = State(work=self._order.digest, dtype=self._dtype, progress=progress, ranks=written)
            markers = _markers(info.key for info in self._store.list(self._prefix))
            self._store.delete([key for key in markers if not self._read(key)])  # of other work, one of which may have this name
            self._store.create(f"{self._prefix}{name}.json", canonical_json(state.model_dump(mode="json")))
            self._prune()
            log.info("state after update %d stored, %d bytes", progress.steps, sum(part.bytes for parts in written for part in parts))

    def _upload(self, path: Path, place: str) -> Part:
        part = Part(key=f"{place}/{path.name}", sha256=file_digest(path), bytes=path.stat().st_size)
        self._store.upload(path, part.key)
        return part

    def _newest(self) -> tuple[str, State] | None:
        """The newest state that is complete and was made by the same work, in the same numbers and on as many ranks."""
        sizes = {info.key: info.size for info in self._store.list(self._prefix)}
        for key in _markers(sizes):
            state = self._read(key)
            if state and all(sizes.get(part.key) == part.bytes for parts in state.ranks for part in parts):
                return Path(key).stem, state
        return None

    def _read(self, key: str) -> State | None:
        try:
            state = State.model_validate_json(self._store.read(key))
        except ValidationError:
            return None  # of another version; the training then begins at an older state
        ours = (self._order.digest, self._dtype, self._ranks.count)
        return state if (state.work, state.dtype, len(state.ranks)) == ours else None

    def _prune(self) -> None:
        """Remove all but the newest states of this work: markers first, so that no marker ever names what is gone.

        Those of another version, kind of numbers or number of ranks cannot be gone on from, however new they are.
        """
        keys = [info.key for info in self._store.list(self._prefix)]
        kept = [key for key in _markers(keys) if self._read(key)][:KEPT]
        self._store.delete(key for key in _markers(keys) if key not in kept)
        steps = {Path(key).stem for key in kept}
        self._store.delete(key for key in keys if not key.endswith(".json") and _step(self._prefix, key) not in steps)


def _markers(keys: Iterable[str]) -> list[str]:
    """Keys of markers, the newest state first."""
    return sorted((key for key in keys if key.endswith(".json")), reverse=True)


def _step(prefix: str, key: str) -> str:
    return key.removeprefix(prefix).split("-")[0]
