"""Presets of the method: what a recipe chooses for the fields that the author left out."""

from dataclasses import dataclass
from enum import StrEnum


class NegativeKind(StrEnum):
    """How the worse answer of a pair is made."""

    VARIATION = "variation"
    """a good answer to a similar but different instruction (paper)"""
    DISAGREEMENT = "disagreement"
    """an answer to the instruction itself that most of the generator's other answers contradict"""


@dataclass(frozen=True)
class Recipe:
    """The method's choices. `Spec.resolved` gives those of a run: a field that is set wins over its recipe."""

    answers: int
    """generate.answers"""
    negatives: dict[NegativeKind, int]
    """generate.negatives: kinds and weights"""
    minimum_pass_rate: str
    """select.minimumPassRate"""
    require_mirror: bool
    """select.requireMirror"""


# `paper` is Self-Taught Evaluators as published. Its pairs are told apart by their topic alone; `improved` adds near misses, and keeps
# judgments only where luck and a preference for one letter are unlikely.
RECIPES = {
    "paper": Recipe(
        answers=1,
        negatives={NegativeKind.VARIATION: 1},
        minimum_pass_rate="0",
        require_mirror=False,
    ),
    "improved": Recipe(
        answers=8,
        negatives={NegativeKind.VARIATION: 1, NegativeKind.DISAGREEMENT: 1},
        minimum_pass_rate="0.5",
        require_mirror=True,
    ),
}
