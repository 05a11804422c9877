"""How the worse answer of a pair comes about: the kinds, which one an instruction gets, and what the answers agree on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop
from selftrain.api.seeds import SEEDS, seed_of
from selftrain.method.pairs import Written, bare, check_answer, normal


@dataclass(frozen=True)
class Agreement:
    """The answer of an instruction, and answers to the same instruction that are wrong if it is right."""

    chosen: Written
    others: tuple[Written, ...]
    lacking: Drop
    """Why there are no others, if there are none."""


def order_of(weights: Mapping[NegativeKind, int], seed: int, instruction: str) -> list[NegativeKind]:
    """The kinds in the order in which they are tried for an instruction: drawn by weight, without replacement.

    Exponential clocks (Efraimidis and Spirakis 2006): the kind whose clock rings first comes first.
    """
    clocks = {kind: -log((seed_of(seed, "negative", kind, instruction) + 1) / SEEDS) / weight for kind, weight in weights.items()}
    return sorted(clocks, key=clocks.__getitem__)


def agree(answers: Sequence[Written]) -> Agreement | Drop:
    """What most of an instruction's answers say, and what the others say instead.

    Answers that are all different (long texts are) say nothing about each other: the first one is the answer and there are no others.
    Answers that repeat without a majority are dropped: the generator is guessing, and most of what it guesses is wrong.
    """
    whole = [answer for answer in answers if check_answer(answer) is None]
    if not whole:
        return check_answer(answers[0]) or Drop.EMPTY_ANSWER
    counts = Counter(bare(answer.text) for answer in whole)
    [(most, votes)] = counts.most_common(1)
    if 1 < votes <= len(whole) / 2:
        return Drop.NO_MAJORITY
    same = [answer for answer in whole if bare(answer.text) == most]
    [(form, _)] = Counter(normal(answer.text) for answer in same).most_common(1)
    chosen = next(answer for answer in same if normal(answer.text) == form)
    if votes == 1 < len(whole):
        return Agreement(chosen, (), Drop.NO_MAJORITY)
    return Agreement(chosen, tuple(answer for answer in whole if bare(answer.text) != most), Drop.UNANIMOUS)


def disagreeing(agreement: Agreement, seed: int, instruction: str) -> str | None:
    """One of the other answers, drawn as often as it was given; None if all agree."""
    if not agreement.others:
        return None
    return agreement.others[seed_of(seed, "disagreement", instruction) % len(agreement.others)].text.strip()
