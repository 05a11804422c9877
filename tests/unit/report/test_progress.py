"""The line that people watch while a run goes on."""

from pathlib import Path
from typing import Any

import pytest

from selftrain.api.load import run_of
from selftrain.api.names import Layout
from selftrain.api.stages import Stage, Step
from selftrain.report.progress import progress
from selftrain.storage.commit import write_shard
from selftrain.storage.folder import FolderStore
from selftrain.storage.protocol import ObjectStore

TRAINING = "2026-11-25 04:25:25,448 INFO update 40 of 225: loss 0.0150, rate 0.000199, 210 tokens/s"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return FolderStore(tmp_path)


def line(store: ObjectStore, status: dict[str, Any], log: str = "") -> str:
    spec = {"model": {"uri": "s3://bucket/model"}, "store": {"uri": "s3://bucket/runs"}, "instructions": {"uri": "s3://bucket/i.jsonl"}}
    body = {"apiVersion": "selftrain.dev/v1alpha1", "kind": "SelfTrainRun", "metadata": {"name": "small"}, "spec": spec, "status": status}
    asked: list[str] = []
    said = progress(run_of(body), store, lambda job: asked.append(job) or log)
    assert asked in ([], ["small-i1-train-a2"])
    return said


def test_before_anything_is_known(store: ObjectStore) -> None:
    assert line(store, {}) == "nobody has looked at the run yet"


def test_shards_are_counted(store: ObjectStore) -> None:
    status = {"iteration": 1, "progress": "1/5", "stage": "judge", "attempt": 1}
    assert line(store, status).endswith("; no shard yet")
    layout = Layout("default", "small", "local")
    for shard in (0, 2):
        write_shard(store, layout, Step(1, Stage.JUDGE), shard, b"rows", work="0" * 64, of=12, tokens=300, seconds=2.0)
    write_shard(store, layout, Step(1, Stage.JUDGE), 1, b"rows", work="1" * 64, of=20, tokens=900, seconds=2.0)
    assert line(store, status).endswith("; 2 of 12 shards, 150 tokens/s"), "the work that was left does not count"


@pytest.mark.parametrize(
    ("log", "end"), [(TRAINING, "; update 40 of 225: loss 0.0150, rate 0.000199, 210 tokens/s"), ("Loading weights: 100%", ""), ("", "")]
)
def test_a_training_says_itself_how_far_it_is(store: ObjectStore, log: str, end: str) -> None:
    said = line(store, {"iteration": 1, "progress": "1/5", "stage": "train", "attempt": 2}, log)
    assert said.removeprefix("1/5 ") == end
