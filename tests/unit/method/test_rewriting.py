"""Answers that were made worse: what is read out of a completion, and every reason against it."""

import pytest

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop
from selftrain.method.pairs import Pair, Written, build_rewritten
from selftrain.method.rewriting import parse_rewritten

GOOD = "<answer>\n4 plums cost 3.\n</answer>"
ANSWER = Written(" 4 plums cost 2. ", whole=True)


def test_a_rewritten_answer_is_the_worse_one() -> None:
    pair = build_rewritten(NegativeKind.FINAL_ANSWER, ANSWER, Written(GOOD, whole=True))
    assert pair == Pair("4 plums cost 2.", "4 plums cost 3.", NegativeKind.FINAL_ANSWER)


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Written(GOOD, whole=False), Drop.TRUNCATED),
        (Written("4 plums cost 3.", whole=True), Drop.MALFORMED),
        (Written("<answer> \n</answer>", whole=True), Drop.EMPTY_ANSWER),
        (Written("<answer>4 PLUMS cost\n2.</answer>", whole=True), Drop.SAME_ANSWER),
    ],
)
def test_reasons_against_a_rewritten_answer(completion: Written, reason: Drop) -> None:
    assert build_rewritten(NegativeKind.ERROR, ANSWER, completion) is reason


def test_how_an_answer_is_written_may_be_its_constraint() -> None:
    """Else an answer that only looks different is the same one."""
    rewritten = Written("<answer>**4 plums cost 2**</answer>", whole=True)
    assert build_rewritten(NegativeKind.ERROR, ANSWER, rewritten) is Drop.SAME_ANSWER
    assert build_rewritten(NegativeKind.CONSTRAINT, ANSWER, rewritten) == Pair(
        "4 plums cost 2.", "**4 plums cost 2**", NegativeKind.CONSTRAINT
    )


@pytest.mark.parametrize("text", [GOOD, f"I changed the price:\n{GOOD}\nThe price is wrong now.", f"<instruction>Add.</instruction>{GOOD}"])
def test_what_stands_around_the_block_is_ignored(text: str) -> None:
    assert parse_rewritten(text) == "4 plums cost 3."


@pytest.mark.parametrize(
    "text",
    [
        GOOD + GOOD,
        f"{GOOD}<answer>",
        "<answer>4 plums cost 3.",
        "</answer>4 plums cost 3.<answer>",
        "<answer>4 plums <answer>cost 3.</answer>",
        "<answer>4 plums <instruction>cost 3.</instruction></answer>",
        "<Answer>4 plums cost 3.</Answer>",
    ],
)
def test_other_forms_are_malformed(text: str) -> None:
    assert parse_rewritten(text) is Drop.MALFORMED
