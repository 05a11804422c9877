"""Steps of runs on the micro model, or one made from it: in this process, or as the operator runs them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from helpers.fixtures import MICRO, MODEL
from selftrain.api.records import Manifest, Work
from selftrain.api.stages import Stage, Step
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store
from selftrain.workers.context import Context
from selftrain.workers.exits import Drain

INSTRUCTIONS = {"uri": f"file://{MICRO}/instructions.jsonl"}


def order(folder: Path, step: Step, *, first: bool = False, **changes: Any) -> Work:
    """The work order of a step, with the store in the folder."""
    spec = {
        "model": {"uri": f"file://{MODEL}"},
        "store": {"uri": f"file://{folder}/store"},
        "instructions": INSTRUCTIONS,
        "generate": {"shards": 3, "maxTokens": 48, "maxSequences": 32},
        "judge": {"shards": 4, "maxTokens": 48, "maxSequences": 32, "samples": 4},
        **changes,
    }
    return Work.model_validate(
        {"run": {"name": "micro"}, "iteration": step.iteration, "stage": step.stage, "attempt": 1, "first": first, "spec": spec}
    )


def context(folder: Path, stage: Stage, **changes: Any) -> Context:
    """The step of the first iteration, to be worked on in this process."""
    work = order(folder, Step(1, stage), **changes)
    scratch = folder / f"scratch-{stage}"
    scratch.mkdir(exist_ok=True)
    return Context(work, open_store(work.spec.store), scratch, 0, Drain())


def worked(folder: Path, work: Work) -> Manifest:
    """What a worker process, with an engine of its own, makes of the order."""
    environment = {**os.environ, "SELFTRAIN_WORK": work.model_dump_json(), "SELFTRAIN_SCRATCH": f"{folder}/scratch"}
    done = subprocess.run([sys.executable, "-m", "selftrain.workers"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return manifest(work)


def manifest(work: Work) -> Manifest:
    found = read_manifest(open_store(work.spec.store), work.layout, work.step)
    assert found is not None
    return found


def rows(work: Work) -> list[dict[str, Any]]:
    """What the step's manifest names: rows of all shards, in order."""
    root = Path(work.spec.store.uri.removeprefix("file://"))
    return [row for part in manifest(work).parts for row in pq.read_table(root / part.key).to_pylist()]
