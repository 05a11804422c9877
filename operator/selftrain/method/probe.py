"""How often the better answer of a pair can be guessed without judging, from the words or the topics of instruction and answers alone.

A model that knows no more cannot tell right from wrong. Where it guesses well, the way the pairs were made shows: the worse answer is
about something else, or longer, or says "instead". A judge may learn that in place of judging.

The model is logistic regression on the difference of two answers' features, so it has no side to prefer: the probability that the first
is the better one is 1 / (1 + exp(-w (f(first) - f(second)))). Features are the words of an answer, how much of the instruction it repeats,
how much of it the instruction has, and its length; or else how near its meaning is to the instruction's. Fitted by AdaGrad (Duchi et al.
2011), and tested on instructions it was not fitted to.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import exp, fsum, log, sqrt
from sys import intern
from typing import NamedTuple

from selftrain.api.records import Guesses
from selftrain.api.seeds import seed_of
from selftrain.method.pairs import normal
from selftrain.method.words import words

FOLDS = 5
EPOCHS = 5
RATE = 0.5
EPSILON = 1e-8
"""AdaGrad's, against a division by zero."""
OF_INSTRUCTION, OF_ANSWER, LENGTH = "share of instruction", "share of answer", "log of length"
"""Names with spaces, so no word has them."""

NEARNESS = "nearness to the instruction"
Features = Mapping[str, float]
Vector = Sequence[float]


class Case(NamedTuple):
    """A pair as the model sees it."""

    fold: int
    """By instruction: the same instruction is never both fitted and guessed."""
    features: Features
    """Those of the better answer minus those of the worse one."""


def case(instruction: str, chosen: str, rejected: str) -> Case:
    """What counts of a pair."""
    asked = set(words(instruction))
    (better, dense), (worse, other) = _seen(asked, chosen), _seen(asked, rejected)
    differing = better ^ worse
    # Together the words weigh as much as one other feature, or they would drown it in long answers.
    weight = 1 / sqrt(len(differing)) if differing else 0.0
    sparse = {intern(word): weight if word in better else -weight for word in sorted(differing)}
    return Case(_fold(instruction), {**sparse, **{name: dense[name] - other[name] for name in dense}})


def embedded_case(instruction: str, asked: Vector, answers: tuple[Vector, Vector]) -> Case:
    """What counts of a pair of which unit vectors say the meaning: how near the answers are to the instruction, in all and by dimension."""
    together = [one * (better - worse) for one, better, worse in zip(asked, *answers, strict=True)]
    return Case(_fold(instruction), {**{str(number): value for number, value in enumerate(together)}, NEARNESS: fsum(together)})


def guess(cases: Iterable[Case]) -> Guesses:
    """Right guesses over all folds, each by a model fitted to the others. Ties are pairs that differ in nothing it has seen before."""
    known = list(cases)
    right = ties = 0
    for fold in range(FOLDS):
        weights = fit([features for other, features in known if other != fold])
        scores = [_score(weights, features) for own, features in known if own == fold]
        right += sum(score > 0 for score in scores)
        ties += scores.count(0)
    return Guesses(correct=right, ties=ties, total=len(known))


def fit(examples: Sequence[Features]) -> dict[str, float]:
    """Weights under which the better answers are likely. The same examples in the same order give the same weights."""
    weights, squares = defaultdict[str, float](float), defaultdict[str, float](float)
    for _ in range(EPOCHS):
        for features in examples:
            error = 1 / (1 + exp(min(700.0, _score(weights, features))))
            for name, value in features.items():
                gradient = error * value
                squares[name] += gradient * gradient
                weights[name] += RATE * gradient / (sqrt(squares[name]) + EPSILON)
    return dict(weights)


def _fold(instruction: str) -> int:
    return seed_of("probe", normal(instruction)) % FOLDS


def _seen(asked: set[str], answer: str) -> tuple[set[str], dict[str, float]]:
    said = words(answer)
    known = set(said)
    common = len(known & asked)
    dense = {
        OF_INSTRUCTION: common / len(asked) if asked else 0.0,
        OF_ANSWER: common / len(known) if known else 0.0,
        LENGTH: log(1 + len(said)),
    }
    return known, dense


def _score(weights: Mapping[str, float], features: Features) -> float:
    return sum(weights.get(name, 0.0) * value for name, value in features.items())
