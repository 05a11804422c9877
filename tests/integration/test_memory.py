"""What workers hold beside the engine, whatever the size of the dataset: 96 000 judgments, 260 MB of traces."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import large
from selftrain.api.stages import Stage
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store

ROOT = Path(__file__).parents[2]
LIMIT = 300 * 1024
"""KiB."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("large")
    large.write_pairs(made)
    return made


def held(stage: Stage, folder: Path) -> int:
    """KiB that the stage's process held beside an engine."""
    command = [sys.executable, "-m", "helpers.large", stage.value, str(folder)]
    own = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'tests'}"}
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("stage", [Stage.JUDGE, Stage.SELECT])  # in this order: select reads what judge wrote
def test_workers_take_bounded_memory(folder: Path, stage: Stage) -> None:
    kilobytes = held(stage, folder)
    work = large.work(folder, stage)
    manifest = read_manifest(open_store(work.spec.store), work.layout, work.step)
    assert manifest is not None
    assert manifest.counts["judgments"] == 2 * large.SAMPLES * large.PAIR_COUNT
    assert kilobytes < LIMIT
