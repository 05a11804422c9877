"""Recipes other than the paper's, start to end on the micro model: what only shows when real stages follow each other."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from helpers.files import as_lines
from helpers.fixtures import MICRO
from helpers.local import logs, manifest_file, manifests, run_local
from selftrain.api.records import Manifest
from selftrain.api.stages import Stage, Step
from selftrain.storage.digests import file_digest

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]


def carried_out(folder: Path, **changes: Any) -> dict[Step, Manifest]:
    """The manifests of a run that ended well."""
    manifest = manifest_file(folder, **changes)
    done = run_local(manifest, folder)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs(folder)}"
    return manifests(manifest, folder)


def rows(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    return [row for part in manifest.parts for row in pq.read_table(folder / "store" / part.key).to_pylist()]


def test_the_release_learns_preferences_from_its_first_judge_on_instructions_of_their_own(tmp_path: Path) -> None:
    judge = {"samples": 4, "topP": "1", "maxTokens": 48, "maxModelLength": 1024, "maxSequences": 8, "shards": 8, "slices": 2}
    found = carried_out(tmp_path, recipe="release", iterations=2, judge=judge)
    learnt = [rows(tmp_path, found[Step(iteration, Stage.SELECT)]) for iteration in (1, 2)]
    assert learnt[0]
    assert all(row["rejected"] is None for row in learnt[0]), "SFT first"
    assert learnt[1]
    assert all(row["rejected"] for row in learnt[1]), "then DPO"
    assert not {row["pair_id"] for row in learnt[0]} & {row["pair_id"] for row in learnt[1]}
    first, second = (found[Step(iteration, Stage.TRAIN)] for iteration in (1, 2))
    weights = [{part.sha256 for part in manifest.parts if part.key.endswith(".safetensors")} for manifest in (first, second)]
    assert weights[0] != weights[1]
    assert f"iteration-001/{Stage.TRAIN}" in " ".join(second.inputs), "it goes on from the first judge"


def test_labelled_pairs_alone_are_judged_and_learnt_from(tmp_path: Path) -> None:
    asked = [json.loads(line)["instruction"] for line in (MICRO / "instructions.jsonl").read_text().splitlines()[:16]]
    pairs = [{"id": str(i), "instruction": text, "chosen": f"Yes, {text}", "rejected": f"No, {text}"} for i, text in enumerate(asked)]
    file = as_lines(tmp_path / "labelled.jsonl", pairs)
    found = carried_out(tmp_path, instructions=None, labelled={"uri": f"file://{file}"}, evaluate={})
    generated = found[Step(1, Stage.GENERATE)]
    assert generated.tokens == 0, "nothing is sampled for them"
    assert generated.counts["pairs by labelled"] == 16
    assert found[Step(1, Stage.JUDGE)].counts["judgments"] == 16 * 2 * 4
    assert found[Step(1, Stage.SELECT)].counts["kept"] > 0
    card = found[Step(1, Stage.TRAIN)].card
    assert card, "nothing is evaluated after it"
    assert file_digest(tmp_path / "store" / card.key) == card.sha256
