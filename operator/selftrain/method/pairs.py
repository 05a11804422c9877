"""A pair: the answer to the instruction, and one that is worse by construction."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop, Order
from selftrain.method.rewriting import parse_rewritten
from selftrain.method.variation import parse_variation

AROUND = {
    **{mark: mark for mark in ("**", "*", "_", "`", "$", '"', "'")},
    "\\(": "\\)", "\\boxed{": "}", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019", "\u00ab": "\u00bb",
}  # fmt: skip
"""What may stand around an answer without changing it: Markdown, LaTeX, quotes."""
STOPS = (".", "\u3002")
LABELLED = "labelled"
"""The kind of pairs that were not made here."""


class HeldOut(TypedDict):
    """One pair whose better answer is known, unless people disagree on it."""

    id: str
    instruction: str
    chosen: str
    rejected: str
    subset: str | None
    people: NotRequired[list[str]]
    """Votes of several people: chosen, rejected or tie. Where neither answer has more, the pair has no winner."""


@dataclass(frozen=True)
class Written:
    """A completion of the generator; `whole` says that it ended by itself and not at the token limit."""

    text: str
    whole: bool


@dataclass(frozen=True)
class Pair:
    """What judges are shown, and how it was made. No judge sees the variation; it is kept for people to look at."""

    chosen: str
    rejected: str
    kind: NegativeKind
    variation: str | None = None


def check_answer(answer: Written) -> Drop | None:
    """What is wrong with an answer, before a variation is asked for."""
    if not answer.whole:
        return Drop.TRUNCATED
    return None if answer.text.strip() else Drop.EMPTY_ANSWER


def build_pair(instruction: str, answer: Written, variation: Written) -> Pair | Drop:
    """The pair, or the first reason against it. There is no fallback: a made-up rejected answer would teach noise."""
    if reason := check_answer(answer):
        return reason
    if not variation.whole:
        return Drop.TRUNCATED
    chosen, varied = answer.text.strip(), parse_variation(variation.text)
    if isinstance(varied, Drop):
        return varied
    if normal(varied.instruction) == normal(instruction):
        return Drop.SAME_INSTRUCTION
    if bare(varied.answer) == bare(chosen):
        return Drop.SAME_ANSWER
    return Pair(chosen, varied.answer, NegativeKind.VARIATION, varied.instruction)


def build_rewritten(kind: NegativeKind, answer: Written, rewritten: Written) -> Pair | Drop:
    """The pair of an answer and the same answer made worse, or what is wrong with the latter."""
    if not rewritten.whole:
        return Drop.TRUNCATED
    chosen, worse = answer.text.strip(), parse_rewritten(rewritten.text)
    return worse if isinstance(worse, Drop) else build_worse(kind, chosen, worse)


def build_worse(kind: NegativeKind, chosen: str, worse: str) -> Pair | Drop:
    """The pair of two answers to the same instruction, unless they are equal. How an answer is written may be a constraint."""
    form = normal if kind is NegativeKind.CONSTRAINT else bare
    return Drop.SAME_ANSWER if form(worse) == form(chosen) else Pair(chosen, worse, kind)


def shown(instruction: str, chosen: str, rejected: str, order: Order) -> dict[str, str]:
    """The values of a judge prompt for a pair in one order."""
    first, second = (chosen, rejected) if order is Order.AB else (rejected, chosen)
    return {"instruction": instruction, "answer_a": first, "answer_b": second}


def has_winner(pair: HeldOut) -> bool:
    """Whether one of the two answers counts as better."""
    votes = pair.get("people")
    return votes is None or votes.count("chosen") > votes.count("rejected")


def normal(text: str) -> str:
    """The text without what does not count when texts are compared: case and spacing."""
    return " ".join(text.casefold().split())


def bare(answer: str) -> str:
    """The answer without what is around all of it: "**Paris**." and "paris" say the same, and neither is worse than the other.

    What stands within an answer may be what it is about: code, formulas, quotations.
    """
    plain = normal(answer)
    while (inner := _inner(plain)) is not None:
        plain = inner
    return plain


def _inner(text: str) -> str | None:
    """The text without its full stop or the marks around it; None if it has neither."""
    if text.endswith(STOPS) and text[:-1].strip(" ."):
        return text[:-1].rstrip()
    for opened, closed in AROUND.items():
        inner = text.removeprefix(opened).removesuffix(closed)
        is_whole = len(inner) == len(text) - len(opened) - len(closed) and opened not in inner and closed not in inner
        if is_whole and inner.strip():
            return inner.strip()
    return None
