"""The order of steps, and the judge that each begins with."""

from typing import Any

from selftrain.api.recipes import RECIPES
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import Spec
from selftrain.planning.steps import judge_iteration, last_of, learnt_from, start_iteration, steps


def test_training_begins_with_the_seed_or_with_the_judge_before() -> None:
    assert [start_iteration(RECIPES["paper"], iteration) for iteration in (1, 2, 3)] == [0, 0, 0]
    assert [start_iteration(RECIPES["release"], iteration) for iteration in (1, 2, 3)] == [0, 1, 2]


def test_a_judge_trained_further_has_learnt_from_all_training_sets_before() -> None:
    assert learnt_from(RECIPES["paper"], 3) == (3,)
    assert learnt_from(RECIPES["release"], 3) == (1, 2, 3)
    assert learnt_from(RECIPES["release"], 0) == (), "the seed has learnt from nothing of the run"


def test_judges_are_evaluated_if_there_is_something_to_evaluate_them_on() -> None:
    body = {"model": {"uri": "s3://b/m"}, "store": {"uri": "s3://bucket/runs"}, "iterations": 2}
    neither, held_out = (Spec.model_validate({**body, "instructions": {"uri": "s3://b/i", "validation": count}}) for count in (None, 5))
    added = [step for step in steps(held_out) if step not in steps(neither)]
    assert added == [Step(1, Stage.EVALUATE), Step(2, Stage.EVALUATE)] == [last_of(held_out, 1), last_of(held_out, 2)]
    assert Stage.EVALUATE not in {step.stage for step in steps(neither)}
    assert last_of(neither, 2) == Step(2, Stage.TRAIN)


def test_pairs_are_judged_by_the_judge_before_and_each_judge_is_evaluated_itself() -> None:
    assert [judge_iteration(Step(iteration, Stage.JUDGE)) for iteration in (1, 3)] == [0, 2]
    assert [judge_iteration(Step(iteration, Stage.EVALUATE)) for iteration in (0, 3)] == [0, 3]


def test_a_weaker_model_answers_before_the_generator_in_a_step_of_its_own() -> None:
    weaker: dict[str, Any] = {"weaker": {"uri": "s3://bucket/old"}, "generate": {"negatives": [{"kind": "weaker"}]}}
    base = {"model": {"uri": "s3://bucket/m"}, "store": {"uri": "s3://bucket/r"}, "instructions": {"uri": "s3://bucket/i"}}
    spec = Spec.model_validate({**base, **weaker})
    assert steps(spec)[:2] == (Step(0, Stage.GENERATE), Step(1, Stage.GENERATE))
    assert steps(Spec.model_validate(base))[0] == Step(1, Stage.GENERATE)
