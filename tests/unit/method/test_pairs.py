"""Pairs: what makes one, and every reason against one."""

import pytest

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop, Order
from selftrain.method.pairs import Pair, Written, build_pair, check_answer, shown
from selftrain.method.variation import Variation, parse_variation

GOOD = "<instruction>\nName a sea.\n</instruction>\n<answer>\nThe Baltic.\n</answer>"


def pair(answer: str = "Oslo.", variation: str = GOOD, *, whole: bool = True, variation_whole: bool = True) -> Pair | Drop:
    return build_pair("Name a city.", Written(answer, whole), Written(variation, variation_whole))


def tagged(instruction: str, answer: str) -> str:
    return f"<instruction>{instruction}</instruction><answer>{answer}</answer>"


def test_a_pair() -> None:
    assert pair(" Oslo. \n") == Pair("Oslo.", "The Baltic.", NegativeKind.VARIATION, "Name a sea.")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (pair(whole=False), Drop.TRUNCATED),
        (pair(variation_whole=False), Drop.TRUNCATED),
        (pair("  \n"), Drop.EMPTY_ANSWER),
        (pair(variation=tagged("Name a sea.", " ")), Drop.EMPTY_ANSWER),
        (pair(variation="The Baltic."), Drop.MALFORMED),
        (pair(variation=tagged(" ", "The Baltic.")), Drop.MALFORMED),
        (pair(variation=tagged("name  a CITY.", "Rome.")), Drop.SAME_INSTRUCTION),
        (pair(variation=tagged("Name a capital.", "oslo.")), Drop.SAME_ANSWER),
    ],
)
def test_reasons_against_a_pair(result: Pair | Drop, reason: Drop) -> None:
    assert result is reason


def test_an_answer_is_checked_before_a_variation_is_asked_for() -> None:
    assert check_answer(Written("Oslo.", whole=True)) is None
    assert check_answer(Written("Oslo", whole=False)) is Drop.TRUNCATED
    assert check_answer(Written("\n", whole=True)) is Drop.EMPTY_ANSWER


def test_text_around_the_blocks_is_ignored() -> None:
    assert parse_variation(f"Sure, here it is:\n{GOOD}\nHope that helps!") == Variation("Name a sea.", "The Baltic.")


@pytest.mark.parametrize(
    "text",
    [
        GOOD + GOOD,
        GOOD + "<answer>",
        GOOD.replace("</answer>", ""),
        GOOD.replace("The Baltic.", "<answer>"),
        "<answer>The Baltic.</answer><instruction>Name a sea.</instruction>",
        GOOD.replace("<instruction>", "<Instruction>"),
    ],
)
def test_other_forms_are_malformed(text: str) -> None:
    assert parse_variation(text) is Drop.MALFORMED


def test_orders_swap_the_answers_and_nothing_else() -> None:
    assert shown("x", "good", "bad", Order.AB) == {"instruction": "x", "answer_a": "good", "answer_b": "bad"}
    assert shown("x", "good", "bad", Order.BA) == {"instruction": "x", "answer_a": "bad", "answer_b": "good"}
