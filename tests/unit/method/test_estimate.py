"""Estimates beside a run that was measured: the demo's first iteration, 3 epochs, on two cores."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from helpers.fixtures import RUNS
from selftrain.api.load import run_of
from selftrain.api.pair_files import Mode
from selftrain.api.stages import Stage
from selftrain.method.contests import Contest, questions
from selftrain.method.estimate import CONTEST, Assumptions, Estimate, estimate

DEMO = Path(__file__).parents[3] / "examples" / "smollm2" / "run.yaml"
CORES = 380e9
"""FLOP/s of bfloat16 matrix products on the two cores."""
KNOWN = Assumptions(
    parameters=134.5e6, instructions=200, held_out={"held-out": 160}, instruction_tokens=35, answer_tokens=10.6, variation_tokens=27,
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
    body["spec"]["judge"] |= {"samples": 4, "slices": None}
    body["spec"]["evaluate"] |= {"majorityOf": 1}
    body["spec"]["train"] |= {"epochs": 3, "tokensPerUpdate": 512, "sequenceLength": 512}
    body["spec"] |= {"recipe": "paper", "iterations": 1, **changes}
    return {one.stage: one for one in estimate(run_of(body).spec, known, CORES)}


@pytest.mark.parametrize("stage", MEASURED)
def test_a_measured_run_is_met(stage: Stage) -> None:
    """What the formulas make of the run's means, beside what it counted in all.

    Inputs, from the same run: means of tokens in a text, the shares of usable instructions and of kept judgments, and one efficiency each
    for sampling, reading and training. So the tokens of judge and the items of select and train are met by construction. Checked are how
    many completions and judgments there are, what generate writes, what is trained on, that a mean of judge's judgments holds for
    evaluate's, and that one pair of efficiencies tells the time of the three stages that sample.
    """
    items, tokens, seconds = MEASURED[stage]
    told = found()[stage]
    assert told.items == pytest.approx(items, abs=0.5)
    assert told.written_tokens == pytest.approx(tokens, rel=0.05)
    assert seconds / 2 <= told.gpu_hours * 3600 <= seconds * 2, "efficiencies differ by stage, so a factor of two is all there is"


def test_a_checkpoint_is_its_weights() -> None:
    """All files of the run's checkpoint in bytes. Nobody kept how large the run's other data were."""
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


def test_labelled_pairs_are_judged_and_learnt_and_nobody_writes_them() -> None:
    labelled = {"uri": "s3://bucket/labelled.jsonl"}
    plain, both = found(), found(replace(KNOWN, labelled=100), labelled=labelled)
    assert both[Stage.GENERATE] == plain[Stage.GENERATE]
    synthetic = KNOWN.instructions * KNOWN.usable
    assert both[Stage.JUDGE].items == pytest.approx(plain[Stage.JUDGE].items * (1 + 100 / synthetic))
    assert both[Stage.TRAIN].items == pytest.approx(plain[Stage.TRAIN].items * (1 + 100 / synthetic))
    shared = found(replace(KNOWN, labelled=100), labelled=labelled | {"share": "0.5"})
    assert shared[Stage.TRAIN].items == pytest.approx(both[Stage.TRAIN].items * min(200, 2 * synthetic) / (100 + synthetic), rel=0.01)


def test_a_rewritten_answer_is_one_more_answer() -> None:
    plain = found()[Stage.GENERATE]
    generate = {"negatives": [{"kind": "error", "weight": 3}, {"kind": "variation"}]}
    rewritten = found(generate={**yaml.safe_load(DEMO.read_text())["spec"]["generate"], **generate})[Stage.GENERATE]
    assert rewritten.items == plain.items
    assert plain.written_tokens - rewritten.written_tokens == pytest.approx(200 * 3 / 4 * (27 - 10.6))


def test_adapters_need_little_room_and_no_gradients_beside_them() -> None:
    """41,943,040 numbers have the adapters of rank 16 beside all linear layers of Llama 3.1 8B."""
    body = yaml.safe_load((RUNS / "good" / "lora.yaml").read_text())
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


def test_the_seed_and_the_last_judge_vote_once_more() -> None:
    evaluate = yaml.safe_load(DEMO.read_text())["spec"]["evaluate"]
    plain, voted = (found(evaluate=evaluate | {"majorityOf": votes})[Stage.EVALUATE] for votes in (1, 32))
    assert voted.items == plain.items + 2 * 2 * 160 * 32


def test_every_benchmark_has_its_own_size_and_votes() -> None:
    """Pairs are judged in both orders by the seed and one judge; both once more by 16 votes where a benchmark has one vote."""
    sizes = {
        "one": (160, 1, {}),
        "more": (100, 8, {}),
        "many": (20, 32, {}),
        "ranked": (50, 1, {"format": "rewardbench2", "mode": "ranking"}),
    }
    benchmarks = [{"name": name, "uri": "s3://b/f.jsonl", "votes": votes, **more} for name, (_, votes, more) in sizes.items()]
    known = replace(KNOWN, held_out={name: size for name, (size, *_) in sizes.items()})
    told = found(known, evaluate={"benchmarks": benchmarks, "majorityOf": 16})[Stage.EVALUATE]
    assert told.items == 160 * 2 * (2 + 32) + 100 * 2 * 2 * 8 + 20 * 2 * 2 * 32 + 50 * (2 + 32)
    pair, four = 35 + 2 * 10.6 + 20, 35 + 4 * 10.6 + 20
    assert told.read_tokens == pytest.approx(2 * (160 + 100 + 20) * 2 * pair + 2 * 50 * four), "votes share a reading"


@pytest.mark.parametrize("mode", Mode)
def test_an_item_of_four_answers_is_asked_about_as_the_recipe_does(mode: Mode) -> None:
    asked = list(questions(Contest("1", "Math", "Q", ["right"], ["one", "two", "three"]), mode))
    assert {(len(asked), sum(name.startswith("answer") for name in question.values)) for question in asked} == {CONTEST[mode]}


def test_answers_that_are_rated_alone_are_shorter_to_read() -> None:
    entry = {"name": "held-out", "uri": "s3://b/f"}
    modes = ("pairwise", "rating")
    pairwise, rating = (found(evaluate={"benchmarks": [{**entry, "mode": mode}]})[Stage.EVALUATE] for mode in modes)
    assert rating.items == pairwise.items
    assert pairwise.read_tokens - rating.read_tokens == pytest.approx(2 * 160 * 2 * 10.6)


def test_a_70b_run_has_the_papers_size() -> None:
    """20,582 instructions x 15 judgments x both orders = 617,460 an iteration, were all of them usable."""
    body = yaml.safe_load((RUNS / "good" / "gpu-70b.yaml").read_text())
    known = Assumptions(parameters=70.6e9, instructions=20_582, usable=1)
    spec = run_of(body).spec
    (judge,) = (one for one in estimate(spec, known, 989e12) if one.stage is Stage.JUDGE)
    assert judge.items == 20_582 * 2 * spec.judge.samples * spec.iterations


def test_answers_that_several_pairs_show_are_rated_once() -> None:
    """Six answers make nine pairs of RM-Bench."""
    entry = {"name": "held-out", "uri": "s3://b/x", "mode": "rating"}
    plain, shared = (found(evaluate={"benchmarks": [{**entry, "format": name}]})[Stage.EVALUATE] for name in ("pairs", "rm-bench"))
    assert shared.items == pytest.approx(plain.items * 6 / 9 / 2)
