"""Estimates beside a run that was measured: the demo's first iteration, 3 epochs, on two cores."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from selftrain.api.load import run_of
from selftrain.api.stages import Stage
from selftrain.method.estimate import Assumptions, Estimate, estimate

DEMO = Path(__file__).parents[3] / "examples" / "smollm2" / "run.yaml"
RUNS = Path(__file__).parents[2] / "fixtures" / "runs" / "good"
CORES = 380e9
"""FLOP/s of bfloat16 matrix products on the two cores."""
KNOWN = Assumptions(
    parameters=134.5e6, instructions=200, held_out=160, instruction_tokens=35, answer_tokens=10.6, variation_tokens=27,
    judgment_tokens=39.1, template_tokens=20, usable=190 / 200, kept=336 / 380, sampling_efficiency=0.27,
    reading_efficiency=0.95, training_efficiency=0.42,
)  # fmt: skip
INSTRUCTIONS = {"uri": "s3://bucket/instructions.jsonl"}
MEASURED = {
    # stage: items, tokens, seconds
    Stage.GENERATE: (400, 7547, 26.6),
    Stage.JUDGE: (1520, 59395, 156.6),
    Stage.SELECT: (336, 0, 0),
    Stage.TRAIN: (336, 115824, 590.1),
    Stage.EVALUATE: (640, 24876, 64.2),
}


def found(known: Assumptions = KNOWN, **changes: object) -> dict[Stage, Estimate]:
    body = yaml.safe_load(DEMO.read_text())
    body["spec"] |= {"iterations": 1, **changes}
    body["spec"]["train"]["epochs"] = 3
    return {one.stage: one for one in estimate(run_of(body).spec, known, CORES)}


@pytest.mark.parametrize("stage", MEASURED)
def test_a_measured_run_is_met(stage: Stage) -> None:
    items, tokens, seconds = MEASURED[stage]
    told = found()[stage]
    assert told.items == pytest.approx(items, abs=0.5)
    assert told.written_tokens == pytest.approx(tokens, rel=0.05)
    assert seconds / 2 <= told.gpu_hours * 3600 <= seconds * 2, "efficiencies differ by stage, so a factor of two is all there is"


def test_a_checkpoint_is_its_weights() -> None:
    states = 2 * 16 * 134.5e6
    assert found()[Stage.TRAIN].storage_bytes - states == pytest.approx(272_587_180, rel=0.03)


def test_dpo_trains_on_both_sides_and_slices_judge_less() -> None:
    plain, release = found(iterations=2), found(iterations=2, recipe="release")
    assert release[Stage.JUDGE].items == pytest.approx(plain[Stage.JUDGE].items / 5)
    assert release[Stage.SELECT].items == pytest.approx(plain[Stage.SELECT].items / 2 * (1 + 6) / 5)
    assert release[Stage.TRAIN].written_tokens == pytest.approx(plain[Stage.TRAIN].written_tokens / 2 * (1 + 6 * 2) / 5)


def test_classification_costs_a_completion_and_saves_answers() -> None:
    known = replace(KNOWN, wanted=0.25)
    plain, chosen = found(known), found(known, instructions=INSTRUCTIONS | {"classify": {}})
    assert chosen[Stage.GENERATE].items == 200 + plain[Stage.GENERATE].items / 4
    assert chosen[Stage.JUDGE].items == plain[Stage.JUDGE].items / 4


def test_held_out_instructions_get_answers_and_no_judgments() -> None:
    plain, split = found(), found(instructions=INSTRUCTIONS | {"validation": 50})
    assert split[Stage.GENERATE] == plain[Stage.GENERATE]
    assert split[Stage.JUDGE].items == plain[Stage.JUDGE].items * 0.75


def test_a_rewritten_answer_is_one_more_answer() -> None:
    plain = found()[Stage.GENERATE]
    generate = {"negatives": [{"kind": "error", "weight": 3}, {"kind": "variation"}]}
    rewritten = found(generate={**yaml.safe_load(DEMO.read_text())["spec"]["generate"], **generate})[Stage.GENERATE]
    assert rewritten.items == plain.items
    assert plain.written_tokens - rewritten.written_tokens == pytest.approx(200 * 3 / 4 * (27 - 10.6))


def test_adapters_need_little_room_and_no_gradients_beside_them() -> None:
    """41,943,040 numbers have the adapters of rank 16 beside all linear layers of Llama 3.1 8B."""
    body = yaml.safe_load((RUNS / "lora.yaml").read_text())
    known = Assumptions(parameters=8.03e9, instructions=20_582)

    def train(**settings: object) -> Estimate:
        body["spec"]["train"] = settings
        return next(one for one in estimate(run_of(body).spec, known, 989e12) if one.stage is Stage.TRAIN)

    whole, adapted = train(), train(lora={"rank": 16})
    checkpoints = whole.storage_bytes - 2 * 16 * 8.03e9
    assert (adapted.storage_bytes - checkpoints) / (2 * 16) == pytest.approx(41_943_040, rel=0.5)
    assert adapted.gpu_hours / whole.gpu_hours == pytest.approx(6 / 8, rel=0.02)


def test_held_out_pairs_are_judged_by_each_judge_but_the_seed() -> None:
    plain, split = (found(iterations=2, instructions=INSTRUCTIONS | more)[Stage.EVALUATE].items for more in ({}, {"validation": 40}))
    assert split - plain == pytest.approx(40 * KNOWN.usable * 2 * 2)


def test_the_seeds_votes_are_asked_once() -> None:
    evaluate = yaml.safe_load(DEMO.read_text())["spec"]["evaluate"]
    plain, voted = found(evaluate=evaluate), found(evaluate=evaluate | {"seedVotes": 32})
    assert voted[Stage.EVALUATE].items == plain[Stage.EVALUATE].items + 2 * 160 * 32


def test_a_70b_run_has_the_papers_size() -> None:
    """20,582 instructions x 15 judgments x both orders = 617,460 an iteration, were all of them usable."""
    body = yaml.safe_load((RUNS / "gpu-70b.yaml").read_text())
    known = Assumptions(parameters=70.6e9, instructions=20_582, usable=1)
    spec = run_of(body).spec
    (judge,) = (one for one in estimate(spec, known, 989e12) if one.stage is Stage.JUDGE)
    assert judge.items == 20_582 * 2 * spec.judge.samples * spec.iterations
