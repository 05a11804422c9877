"""What the ranks of a training are told."""

from pathlib import Path

from helpers.fixtures import MODEL
from selftrain.api.recipes import Objective
from selftrain.api.training import Train
from selftrain.workers import train


def test_ranks_are_given_the_settings_of_their_objective(tmp_path: Path) -> None:
    settings = Train(dpo_learning_rate="0.5", dpo_warmup_steps=3, dpo_gradient_clipping="2")
    told = {}
    for aim in Objective:
        (folder := tmp_path / aim).mkdir()
        told[aim] = train._prepare(folder, MODEL, [], settings, 1, aim).settings
    assert told[Objective.SFT] == settings
    found = told[Objective.DPO]
    assert (found.learning_rate, found.warmup_steps, found.gradient_clipping) == ("0.5", 3, "2")
