"""A weaker model beside the generator, as the operator runs them: two workers one after the other, each with a real engine of its own."""

from pathlib import Path

import pytest

from helpers.fixtures import MODEL
from helpers.steps import order, rows, worked
from selftrain.api.records import Work
from selftrain.api.stages import Step
from selftrain.planning.steps import PAIRS_STEP, WEAKER_STEP
from selftrain.storage.commit import manifest_digest
from selftrain.storage.open import open_store

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]


def order_of(folder: Path, step: Step) -> Work:
    """The micro model is its own older checkpoint: what it says differs by the seed alone."""
    weaker = {"uri": f"file://{MODEL}"}
    generate = {"shards": 2, "maxTokens": 48, "maxSequences": 32, "topP": "1", "negatives": [{"kind": "weaker"}]}
    return order(folder, step, first=step == WEAKER_STEP, weaker=weaker, generate=generate)


def test_a_weaker_model_answers_and_the_generator_pairs_its_answers_with_better_ones(tmp_path: Path) -> None:
    asked, paired = order_of(tmp_path, WEAKER_STEP), order_of(tmp_path, PAIRS_STEP)
    answers, pairs = worked(tmp_path, asked), worked(tmp_path, paired)
    assert answers.counts["answers"] + sum(answers.drops.values()) == 24
    assert pairs.counts["pairs by weaker"] + sum(pairs.drops.values()) == 24
    assert pairs.inputs["iteration-000/generate"] == manifest_digest(open_store(asked.spec.store), asked.layout, WEAKER_STEP)
    both = zip(rows(paired), rows(asked), strict=True)
    usable = [(row["rejected"], before["answer"]) for row, before in both if row["dropped"] is None]
    assert usable
    assert all(rejected == answer for rejected, answer in usable)
