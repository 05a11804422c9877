"""The order of a run's steps, and the judge that each begins with. This is the recipe as the platform sees it."""

from selftrain.api.recipes import Recipe, Start
from selftrain.api.stages import ROUND, Stage, Step
from selftrain.api.v1alpha1 import Spec

SEED_STEP = Step(0, Stage.EVALUATE)
"""Scores the seed, with which all judges are compared."""
PAIRS_STEP = Step(1, Stage.GENERATE)
"""Makes the pairs of all iterations."""
WEAKER_STEP = Step(0, Stage.GENERATE)
"""Has a weaker model answer the instructions, for pairs in which its answers are the worse ones."""


def steps(spec: Spec) -> tuple[Step, ...]:
    """All steps of the run in order. Pairs are made once and stay fixed (paper, section 3).

    Judges are evaluated if there is something to evaluate them on. The seed comes before the pairs, so held-out ones are not for it.
    """
    rounds = [Step(iteration, stage) for iteration in range(1, spec.iterations + 1) for stage in ROUND]
    planned = [SEED_STEP, *([WEAKER_STEP] if spec.weaker else []), PAIRS_STEP, *rounds]
    return tuple(
        step for step in planned if step.stage is not Stage.EVALUATE or spec.evaluate.benchmarks or (step.iteration and spec.held_out)
    )


def last_of(spec: Spec, iteration: int) -> Step:
    """The step that ends an iteration: evaluate, or train where there is nothing to evaluate a judge on."""
    return [step for step in steps(spec) if step.iteration == iteration][-1]


def start_iteration(recipe: Recipe, iteration: int) -> int:
    """The iteration whose judge is trained further; 0 is the seed."""
    return iteration - 1 if recipe.start is Start.PREVIOUS else 0


def learnt_from(recipe: Recipe, iteration: int) -> tuple[int, ...]:
    """The iterations whose training sets a judge has learnt from, its own last: it knows what the judge that it began as knew."""
    return (*learnt_from(recipe, start_iteration(recipe, iteration)), iteration) if iteration else ()


def judge_iteration(step: Step) -> int:
    """The iteration whose judge a judge or evaluate step loads; 0 is the seed."""
    return step.iteration - 1 if step.stage is Stage.JUDGE else step.iteration
