"""Whole trainings as worker processes on a folder store."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.fixtures import MODEL
from helpers.trainers import SETTINGS
from selftrain.api.records import Manifest, Part, Work
from selftrain.api.stages import Stage
from selftrain.storage.commit import commit
from selftrain.storage.digests import file_digest
from selftrain.storage.open import open_store
from selftrain.workers import launch, train

OPERATOR = Path(__file__).parents[2] / "operator"


def work_of(folder, table, **settings):
    """A run ready to train: all earlier steps are done, of which only select has left rows."""
    spec = {
        "model": {"uri": f"file://{MODEL}"},
        "store": {"uri": f"file://{folder / 'store'}"},
        "instructions": {"uri": "file:///nowhere"},
        "train": SETTINGS.model_copy(update=settings).model_dump(),
    }
    work = Work.model_validate({"run": {"name": "r", "uid": "u"}, "iteration": 1, "stage": "train", "attempt": 1, "spec": spec})
    store = open_store(work.spec.store)
    part = Part(key="examples.parquet", sha256=file_digest(table), bytes=table.stat().st_size, rows=80)
    store.upload(table, part.key)
    for stage in Stage.GENERATE, Stage.JUDGE, Stage.SELECT:
        parts = [part] if stage is Stage.SELECT else []
        commit(store, work.layout, Manifest(run="r", iteration=1, stage=stage, attempt=1, work="0" * 64, inputs={}, parts=parts))
    return work, store


def start(work, folder, index=0, rendezvous=None):
    environment = {
        **os.environ,
        "SELFTRAIN_WORK": work.model_dump_json(),
        "SELFTRAIN_SCRATCH": str(folder / "scratch"),
        "SELFTRAIN_TERMINATION": str(folder / f"termination-{index}.json"),
        "JOB_COMPLETION_INDEX": str(index),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(OPERATOR),
    }
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "DS_ACCELERATOR"):
        environment.pop(name, None)  # of the trainers in this process
    if rendezvous:
        environment["SELFTRAIN_RENDEZVOUS"] = rendezvous
    log = (folder / f"log-{index}.txt").open("ab")
    return subprocess.Popen([sys.executable, "-m", "selftrain.workers"], env=environment, stdout=log, stderr=log, start_new_session=True)


def wait_for_state(store, process, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if any(info.key.endswith(".json") for info in store.list("default/r-u/iteration-001/train/states/")):
            return
        time.sleep(0.05)
    pytest.fail("no state was stored")


def ranks_of(folder):
    """Processes of the ranks that were ordered from this folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"selftrain.workers.train_rank" in words and b"torch.distributed.run" not in words and str(folder).encode() in words[-2]:
            yield int(path.parent.name)


def weights(store, manifest):
    return {Path(part.key).name: part.sha256 for part in manifest.parts if part.key.endswith(".safetensors")}


def fine_tuned(patch, model, table, folder, **settings):
    """Losses and weights of a training outside of any run. Under stage 3 its ranks part with all weights."""
    from safetensors.torch import load_file

    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        patch.delenv(name, raising=False)  # of the trainers in this process
    patch.setenv("PYTHONPATH", f"{OPERATOR}:{OPERATOR.parent / 'tests'}")
    patch.setattr(launch, "MODULE", "helpers.parting_rank")
    train.fine_tune(model, [table], SETTINGS.model_copy(update=settings), 1, folder)
    return json.loads((folder / "training.json").read_text())["losses"], load_file(folder / "model.safetensors")


def losses(store, manifest):
    part = next(part for part in manifest.parts if part.key.endswith("training.json"))
    return json.loads(store.read(part.key))["losses"]
