"""The real vLLM in this process, and stages that sample with it, on the micro model or one made from it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from selftrain.api.records import Manifest, Work
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import Generate
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store
from selftrain.workers.context import Context
from selftrain.workers.exits import Drain
from selftrain.workers.machine import environment, read_machine
from selftrain.workers.sampling import Sampler, load_sampler

MICRO = Path(__file__).parents[1] / "fixtures/micro"
SETTINGS = Generate(max_tokens=48, max_sequences=32, top_p="1.0")
INSTRUCTIONS = {"uri": f"file://{MICRO}/instructions.jsonl"}


@contextmanager
def loaded(model: Path, cache: Path) -> Iterator[Sampler]:
    """A model in the engine, and its settings in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(read_machine(), 1, cache).items():
            patch.setitem(os.environ, name, value)
        yield load_sampler(model, SETTINGS, [])


def load(sampler: Sampler) -> Callable[..., Sampler]:
    """Stands in for `load_sampler`, which takes seconds each time."""
    return lambda *_: sampler


def context(folder: Path, stage: Stage, iteration: int = 1, **changes: Any) -> Context:
    spec = {
        "model": {"uri": f"file://{MICRO}/model"},
        "store": {"uri": f"file://{folder}/store"},
        "instructions": INSTRUCTIONS,
        "generate": {"shards": 3, "maxTokens": 48, "maxSequences": 32},
        "judge": {"shards": 4, "maxTokens": 48, "maxSequences": 32, "samples": 4},
        **changes,
    }
    work = Work.model_validate({"run": {"name": "micro"}, "iteration": iteration, "stage": stage, "attempt": 1, "spec": spec})
    scratch = folder / f"scratch-{stage}"
    scratch.mkdir(exist_ok=True)
    return Context(work, open_store(work.spec.store), scratch, 0, Drain())


def manifest(stage: Context) -> Manifest:
    found = read_manifest(stage.store, stage.layout, stage.work.step)
    assert found is not None
    return found


def rows(stage: Context) -> list[dict[str, Any]]:
    """Of all shards, in order."""
    root = Path(stage.work.spec.store.uri.removeprefix("file://"))
    return [row for part in manifest(stage).parts for row in pq.read_table(root / part.key).to_pylist()]
