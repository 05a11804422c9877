"""Reading a verdict out of a judgment."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from selftrain.api.records import Verdict

V = TypeVar("V", bound=str)
TIE = "tie"
TIE_SAID = "[[C]]"
LETTERS = ("A", "B", "C", "D")
RATINGS = tuple(str(rating) for rating in range(1, 11))
LAST_RATING = re.compile(r"\b([1-9]|10)\b\s*$")


class Reading(NamedTuple):
    """The two ways to read a kind of judgment. Scores are made from the strict one; benchmarks read leniently."""

    strict: Callable[[str], str | None]
    lenient: Callable[[str], str | None]


def parse_verdict(text: str) -> Verdict | None:
    """The one verdict in `text`, however often it is said; None if there is none or both.

    Strict, as in the released code that builds training data. A tie, [[C]], is no verdict: pairs have a winner by construction.
    """
    return _only(_said(text, Verdict))


def parse_lenient(text: str) -> Verdict | None:
    """The first of A and B that occurs anywhere: "if ... [[A]] ... else [[B]]" is A. Source: process_judgement of RewardBench."""
    return next(iter(_said(text, Verdict)), None)


def parse_choice(text: str) -> str | None:
    """The one best answer of four; None if there is none or several."""
    return _only(_said(text, LETTERS))


def parse_choice_lenient(text: str) -> str | None:
    """The first of A to D that occurs anywhere. Source: process_judgement of RewardBench 2."""
    return next(iter(_said(text, LETTERS)), None)


def parse_rating(text: str) -> str | None:
    """The one rating from [[1]] to [[10]]; None if there is none or several."""
    return _only(_said(text, RATINGS))


def parse_rating_lenient(text: str) -> str | None:
    """The number from 1 to 10 that the text ends with, bare: "[[9]]" and "I give it 6." have none, "7.5" is 5.

    Source: get_single_rating of RewardBench 2, whose prompt asks for a bare number.
    """
    found = LAST_RATING.search(text.strip())
    return found[1] if found else None


def read_strict(text: str) -> str | None:
    """As `parse_verdict`, but a text that says only [[C]] is a tie."""
    return parse_verdict(text) if _said(text, Verdict) else _tie(text)


def read_lenient(text: str) -> str | None:
    """As `parse_lenient`, but a text that says only [[C]] is a tie. Source: run_judge_single of FastChat."""
    return parse_lenient(text) or _tie(text)


def _said(text: str, verdicts: Iterable[V]) -> list[V]:
    """The verdicts that occur in a text, in their own order."""
    return [verdict for verdict in verdicts if f"[[{verdict}]]" in text]


def _only(said: list[V]) -> V | None:
    return said[0] if len(said) == 1 else None


def _tie(text: str) -> str | None:
    return TIE if TIE_SAID in text else None


READINGS = {
    "judge": Reading(parse_verdict, parse_lenient),
    "ranking": Reading(parse_choice, parse_choice_lenient),
    "rating": Reading(parse_rating, parse_rating_lenient),
}
"""By the prompt that asked."""
