"""What the ranks of a training are told."""

from pathlib import Path

import pytest

from helpers.bench import Bench, make_judgments
from helpers.fixtures import MODEL
from selftrain.api.recipes import Objective
from selftrain.api.stages import Stage
from selftrain.api.training import Train
from selftrain.workers import select, train


@pytest.mark.parametrize("mirrored", [True, False])
def test_what_was_selected_is_told_to_what_leaves_out_long_examples(bench: Bench, mirrored: bool) -> None:
    spec = {"select": {"requireMirror": mirrored}}
    make_judgments(bench, **spec)
    select.run(bench.context(Stage.SELECT, **spec))
    order = train._order(bench.context(Stage.TRAIN, **spec))
    assert order.mirrored is mirrored


def test_ranks_are_given_the_settings_of_their_objective(tmp_path: Path) -> None:
    settings = Train(dpo_learning_rate="0.5", dpo_warmup_steps=3, dpo_gradient_clipping="2")
    told = {}
    for aim in Objective:
        (folder := tmp_path / aim).mkdir()
        told[aim] = train._prepare(folder, MODEL, [], settings, 1, aim).settings
    assert told[Objective.SFT] == settings
    found = told[Objective.DPO]
    assert (found.learning_rate, found.warmup_steps, found.gradient_clipping) == ("0.5", 3, "2")
