"""What workers hold beside the engine, whatever the size of the dataset: 96 000 judgments, 260 MB of traces."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from helpers import large
from selftrain.api.recipes import RECIPES
from selftrain.api.stages import Stage
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store
from selftrain.workers.selection import Rules, open_database, select

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


MANY = """
COPY (
    SELECT md5(pair::VARCHAR) AS pair_id, "order", sample, IF(hash(pair, "order", sample) % 2 = 0, 'A', 'B') AS verdict
    FROM range(20582) AS pairs(pair), range(15) AS samples(sample), (VALUES ('AB'), ('BA')) AS orders("order")
) TO '{path}' (FORMAT parquet)
"""
"""As many judgments as the paper's run had, half of them right, as of a seed that guesses."""


def test_contrasts_of_as_many_judgments_as_the_paper_had_are_found(tmp_path: Path) -> None:
    duckdb.execute(MANY.format(path=tmp_path / "judgments.parquet"))
    with open_database(tmp_path) as database:
        counts, _ = select(database, [tmp_path / "judgments.parquet"], Rules(RECIPES["release"], seed=42, iteration=2))
    assert counts["judgments"] == 20_582 * 2 * 15
    assert counts["examples"] > 200_000
