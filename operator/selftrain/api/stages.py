"""The five stages of an iteration, in the order they run. Their names are spelled here and nowhere else."""

from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """One step of an iteration; every stage is one Job and ends in one manifest."""

    GENERATE = "generate"
    JUDGE = "judge"
    SELECT = "select"
    TRAIN = "train"
    EVALUATE = "evaluate"


class Step(NamedTuple):
    """A stage of a given iteration. Iteration 0 is before all training: the seed judge is evaluated, and a weaker model may answer."""

    iteration: int
    stage: Stage

    def __str__(self) -> str:
        return f"iteration {self.iteration}, {self.stage}"


ROUND = (Stage.JUDGE, Stage.SELECT, Stage.TRAIN, Stage.EVALUATE)
"""What every iteration does; pairs are generated once."""
SHARDED_STAGES = frozenset({Stage.GENERATE, Stage.JUDGE, Stage.EVALUATE})
