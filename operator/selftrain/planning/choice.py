"""The judge that a run recommends, from the manifests that there are."""

from collections.abc import Mapping
from typing import NamedTuple

from selftrain.api.records import Manifest
from selftrain.api.stages import Stage, Step
from selftrain.api.status import ChosenBy
from selftrain.api.v1alpha1 import Spec
from selftrain.method.choice import choose


class Choice(NamedTuple):
    """An iteration, and what it was chosen by."""

    iteration: int
    by: ChosenBy


def chosen(spec: Spec, manifests: Mapping[Step, Manifest]) -> Choice | None:
    """The best judge on held-out pairs so far. Where none are held out, or none of them gave a pair, the last one trained."""
    tallies = {step.iteration: manifest.validation.overall for step, manifest in manifests.items() if manifest.validation}
    best = choose(tallies)
    if best is not None:
        return Choice(best, ChosenBy.VALIDATION)
    ended = Stage.EVALUATE if spec.held_out else Stage.TRAIN
    done = [step.iteration for step in manifests if step.iteration and step.stage is ended]
    return Choice(max(done), ChosenBy.LAST) if done else None
