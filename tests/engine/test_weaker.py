"""A weaker model beside the generator, as the operator runs them: two workers one after the other, each with a real engine of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from selftrain.api.records import Manifest, Work
from selftrain.api.stages import Step
from selftrain.planning.steps import PAIRS_STEP, WEAKER_STEP
from selftrain.storage.commit import manifest_digest, read_manifest
from selftrain.storage.open import open_store

MICRO = Path(__file__).parents[1] / "fixtures/micro"
pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]


def work_of(folder: Path, step: Step) -> Work:
    """The work order of a step. The micro model is its own older checkpoint: what it says differs by the seed alone."""
    spec = {
        "model": {"uri": f"file://{MICRO}/model"},
        "weaker": {"uri": f"file://{MICRO}/model"},
        "store": {"uri": f"file://{folder}/store"},
        "instructions": {"uri": f"file://{MICRO}/instructions.jsonl"},
        "generate": {"shards": 2, "maxTokens": 48, "maxSequences": 32, "topP": "1", "negatives": [{"kind": "weaker"}]},
    }
    first = step == WEAKER_STEP
    order = {"run": {"name": "micro"}, "iteration": step.iteration, "stage": step.stage, "attempt": 1, "first": first, "spec": spec}
    return Work.model_validate({**order, "spec": {**spec, "judge": {"maxTokens": 48}}})


def worked(folder: Path, step: Step) -> Manifest:
    """What a worker process makes of the step."""
    work = work_of(folder, step)
    environment = {**os.environ, "SELFTRAIN_WORK": work.model_dump_json(), "SELFTRAIN_SCRATCH": f"{folder}/scratch"}
    done = subprocess.run([sys.executable, "-m", "selftrain.workers"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    made = read_manifest(open_store(work.spec.store), work.layout, step)
    assert made is not None
    return made


def test_a_weaker_model_answers_and_the_generator_pairs_its_answers_with_better_ones(tmp_path: Path) -> None:
    answers, pairs = worked(tmp_path, WEAKER_STEP), worked(tmp_path, PAIRS_STEP)
    work = work_of(tmp_path, PAIRS_STEP)
    assert answers.counts["answers"] + sum(answers.drops.values()) == 24
    assert pairs.counts["pairs by weaker"] + sum(pairs.drops.values()) == 24
    assert pairs.inputs["iteration-000/generate"] == manifest_digest(open_store(work.spec.store), work.layout, WEAKER_STEP)
    said, paired = (
        [row for part in manifest.parts for row in pq.read_table(tmp_path / "store" / part.key).to_pylist()]
        for manifest in (answers, pairs)
    )
    usable = [(row["rejected"], before["answer"]) for row, before in zip(paired, said, strict=True) if row["dropped"] is None]
    assert usable
    assert all(rejected == answer for rejected, answer in usable)
