"""Presets of the method: what a recipe chooses for the fields that the author left out."""

from dataclasses import dataclass, replace
from enum import StrEnum


class NegativeKind(StrEnum):
    """How the worse answer of a pair is made."""

    VARIATION = "variation"
    """a good answer to a similar but different instruction (paper)"""
    DISAGREEMENT = "disagreement"
    """an answer to the instruction itself that most of the generator's other answers contradict"""
    ERROR = "error"
    """the better answer with one mistake in it, put in by the generator"""
    FINAL_ANSWER = "final-answer"
    """the better answer with another result"""
    CONSTRAINT = "constraint"
    """the better answer, but it no longer does one thing that the instruction asks for"""

    WEAKER = "weaker"
    """an answer of a weaker model to the instruction itself"""

    @property
    def asks(self) -> bool:
        """Whether the generator is asked once more, after its answers."""
        return self.rewrites or self is NegativeKind.VARIATION

    @property
    def rewrites(self) -> bool:
        """Whether the generator is asked to make its better answer worse."""
        return self in (NegativeKind.ERROR, NegativeKind.FINAL_ANSWER, NegativeKind.CONSTRAINT)


class Objective(StrEnum):
    """What training makes likely."""

    SFT = "sft"
    """the kept judgments (paper)"""
    DPO = "dpo"
    """right judgments rather than wrong or unparsed ones of the same ordered pair (Rafailov et al. 2023)"""


class Start(StrEnum):
    """The model that training begins with."""

    SEED = "seed"
    """the seed, anew in each iteration (paper)"""
    PREVIOUS = "previous"
    """the judge of the iteration before, which is also DPO's reference"""


@dataclass(frozen=True)
class Recipe:
    """The method's choices. `Spec.resolved` gives those of a run: a field that is set wins over its recipe."""

    answers: int
    negatives: dict[NegativeKind, int]
    """Kinds and weights."""
    minimum_pass_rate: str
    require_mirror: bool
    contrasts: int
    slices: int
    first_objective: Objective
    objective: Objective
    start: Start

    def objective_of(self, iteration: int) -> Objective:
        """What an iteration learns."""
        return self.first_objective if iteration == 1 else self.objective


PLACES = {
    "answers": "generate",
    "negatives": "generate",
    "minimum_pass_rate": "select",
    "require_mirror": "select",
    "contrasts": "select",
    "slices": "judge",
    "first_objective": "train",
    "objective": "train",
    "start": "train",
}
"""The block of the spec that has a choice as a field of the same name."""
PAPER = Recipe(
    answers=1,
    negatives={NegativeKind.VARIATION: 1},
    minimum_pass_rate="0",  # noqa: S106 - no password
    require_mirror=False,
    contrasts=1,
    slices=1,
    first_objective=Objective.SFT,
    objective=Objective.SFT,
    start=Start.SEED,
)
# `paper` is Self-Taught Evaluators as published, `release` what its authors released: SFT, then DPO from there on instructions of its own,
# with six contrasts an ordered pair as the code's docstring has it (the published data have 8.6 an instruction).
# The pairs of both are told apart by their topic alone. Of the pairs of `improved` half are near misses, of several kinds, and a pair
# is learnt only in both orders, so no preference for one letter is. What the judge seldom gets right it has to learn, so there is no
# minimum pass rate. Five answers: an odd number has a majority more often. Five slices, also of `release`: in each of the five iterations
# that are the default the judge goes on from where it was, on instructions it has not seen.
RECIPES = {
    "paper": PAPER,
    "release": replace(PAPER, contrasts=6, slices=5, objective=Objective.DPO, start=Start.PREVIOUS),
    "improved": replace(
        PAPER,
        answers=5,
        negatives={
            NegativeKind.VARIATION: 4,
            NegativeKind.DISAGREEMENT: 1,
            NegativeKind.ERROR: 1,
            NegativeKind.FINAL_ANSWER: 1,
            NegativeKind.CONSTRAINT: 1,
        },
        require_mirror=True,
        slices=5,
        start=Start.PREVIOUS,
    ),
}
