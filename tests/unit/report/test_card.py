"""What a card says beside the numbers that a run's own card is tested for."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from selftrain.api.records import VALIDATION, BenchmarkResult, Manifest, Official, Overlap, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import Spec
from selftrain.report.card import Subject, card, metadata
from selftrain.report.markdown import judged, listed, table
from selftrain.report.own_score import own_score

BODY = {
    "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct@main"},
    "store": {"uri": "s3://team-a/judges"},
    "instructions": {"uri": "s3://team-a/wildchat.parquet", "validation": 60},
}

LEARNING = (Stage.JUDGE, Stage.SELECT, Stage.TRAIN)


def manifest_of(step: Step, **told: Any) -> Manifest:
    return Manifest(run="judge", iteration=step.iteration, stage=step.stage, attempt=1, work="0" * 64, inputs={}, parts=[], **told)


def subject(strict: dict[int, int], counts: dict[str, int] | None = None, **body: Any) -> Subject:
    """A judge of the last of some iterations, with its share of 60 held-out pairs in each. Every training set is larger by ten."""
    last = max(strict)
    steps = [Step(1, Stage.GENERATE), *(Step(number, stage) for number in range(1, last + 1) for stage in LEARNING)]
    manifests = {step: manifest_of(step, counts={"kept": 10 * step.iteration} if step.stage is Stage.SELECT else {}) for step in steps}
    if counts:
        manifests[steps[0]] = manifest_of(steps[0], counts=counts)
    for iteration, correct in strict.items():
        told = BenchmarkResult(benchmark=VALIDATION, votes=1, overall=Tally(strict_correct=correct, pairs=60))
        step = Step(iteration, Stage.EVALUATE)
        manifests[step] = manifest_of(step, validation=told if iteration else None)
    return Subject("judge", Spec.model_validate({**BODY, **body}), last, manifests, {}, {}, {})


def test_the_best_iteration_so_far_is_named_beside_all_that_were_compared() -> None:
    text = card(subject({0: 0, 1: 41, 2: 40}))
    assert "Up to here iteration 1 is the one to use." in text
    assert "| 1 | 41 of 60 |" in text
    assert "| 2 | 40 of 60 |" in text
    assert "| 0 |" not in text.partition("## Results")[0], "the seed is not judged on held-out pairs"


def test_a_benchmarks_own_score_comes_with_its_parts_and_what_is_told_beside_it() -> None:
    told = Official(
        overall=0.5, interval=(0.25, 0.75), count=12, parts={"Chat": 0.75}, intervals={"Chat": (0.4, 0.9)}, counts={"Chat": 8},
        beside={"with Prior Sets": 0.25}, complete=False,
    )  # fmt: skip
    text = own_score(told)
    assert "| overall | 0.5000 (0.250 to 0.750) | 12 |" in text
    assert "| Chat | 0.7500 (0.400 to 0.900) | 8 |" in text
    assert "| with Prior Sets | 0.2500 |  |" in text
    assert "missing" in text
    assert "missing" not in own_score(told.model_copy(update={"complete": True}))
    assert "| overall | - |  |" in own_score(Official(overall=None, parts={})), "as told by runs of earlier versions"


def test_a_benchmark_comes_with_what_it_is_to_be_compared_with() -> None:
    measured, step = subject({1: 41}), Step(1, Stage.EVALUATE)
    told = BenchmarkResult(
        benchmark="held-out", votes=1, overall=Tally(correct=30, total=40), always_a=Tally(correct=20, total=40),
        longer_wins=Tally(correct=12, total=40), overlap=Overlap(pairs=20, instructions=3, answers=5),
    )  # fmt: skip
    manifests = {**measured.manifests, step: manifest_of(step, results=[told])}
    paired, voted = ({"held-out": {"wins": wins, "losses": 1, "p": 0.25}} for wins in (7, 8))
    text = card(replace(measured, manifests=manifests, paired=paired, paired_with_votes=voted))
    assert "| random, expected | 20 of 40 |" in text
    assert "| always A | 20 of 40 |" in text
    assert "| the longer answer | 12 of 40 |" in text
    assert "| iteration 1 | 30 of 40 |" in text
    assert "Against the seed, item by item: better on 7, worse on 1, p = 0.25" in text
    assert "Against the seed's votes, item by item: better on 8, worse on 1" in text
    assert "the instructions of 3 of 20" in text
    assert "answers of 5 of 20" in text


def test_a_judge_that_nobody_measured_has_a_card_without_results() -> None:
    measured = subject({1: 41})
    text = card(replace(measured, manifests={step: own for step, own in measured.manifests.items() if step.stage is not Stage.EVALUATE}))
    assert "No benchmark was given." in text
    assert "Judgments on benchmarks" not in text
    assert "model-index" not in text
    assert "| iteration 1, select | 10 kept | none |" in text


def test_the_versions_are_those_that_made_this_judge() -> None:
    later = subject({1: 41, 2: 42})
    versions = {1: "0.1", 2: "0.2"}
    manifests = {
        step: own.model_copy(update={"software": {"deepspeed": versions[step.iteration], f"only-{step.iteration}": "1"}})
        for step, own in later.manifests.items()
        if step.stage in LEARNING
    }
    text = card(replace(later, manifests={**later.manifests, **manifests}))
    assert "Software: deepspeed 0.2, only-2 1." in text


def test_the_front_matter_names_the_seed_on_the_hub() -> None:
    text = card(subject({1: 41}))
    _, head, _ = text.split("---\n", 2)
    assert yaml.safe_load(head) == metadata(subject({1: 41}))
    assert metadata(subject({1: 41}))["base_model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert "base_model" not in metadata(subject({1: 41}, model={"uri": "s3://team-a/seed"}))
    assert "s3://" not in card(subject({1: 41}, model={"uri": "s3://team-a/seed"}))


@pytest.mark.parametrize(
    ("counts", "words"),
    [({"pairs by labelled": 7, "pairs": 9}, "7 pairs labelled by others were among"), ({"pairs": 9}, "No person labelled a pair for it.")],
)
def test_labels_of_people_are_told(counts: dict[str, int], words: str) -> None:
    assert words in card(subject({1: 41}, counts))


def test_everything_that_a_judge_learnt_from_is_told_by_iteration() -> None:
    further, anew = (card(subject({1: 41, 2: 42}, train={"start": start})) for start in ("previous", "seed"))
    assert "| iteration 2, select | 20 kept | none |" in further
    assert "| iteration 1, select | 10 kept | none |" in further
    assert "it has learnt from all of these training sets" in further
    assert "| iteration 2, select | 20 kept | none |" in anew
    assert "| iteration 1, generate |" in anew
    assert "| iteration 1, select |" not in anew
    assert "all of these training sets" not in anew


def test_the_settings_of_the_method_are_told_and_not_those_of_the_cluster() -> None:
    text = card(subject({1: 41}, recipe="improved", judge={"resources": {"limits": {"nvidia.com/gpu": "1"}}}))
    told = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    assert (told["seed"], told["recipe"]["name"], told["recipe"]["require_mirror"], told["judge"]["samples"]) == (42, "improved", True, 15)
    assert told["instructions"]["validation"] == 60
    assert "resources" not in told["judge"]


def test_pieces() -> None:
    assert table(["a"], [["b|c"]]) == "| a |\n| --- |\n| b&#124;c |"
    assert judged(Tally(correct=1, total=2))[0] == "1 of 2"
    assert judged(Tally())[1] == "-"
    assert listed({"b": 1, "a": 2}) == "2 a, 1 b"
    assert listed({}) == "none"
