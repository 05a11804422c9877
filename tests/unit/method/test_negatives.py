"""Worse answers: which kind an instruction gets, and what several answers agree on."""

from collections import Counter

import pytest

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop
from selftrain.method.negatives import Agreement, agree, disagreeing, order_of
from selftrain.method.pairs import Written

DIFFERENT = [
    ("5", "-5"), ("5", ".5"), ("5", "5!"), ("5'", '5"'), ("a, b", "a, b, c"), ("...", "!"), ("2**3", "23"), ("x * 2", "x ** 2"),
    ("f(*args)", "f(args)"), ("print('x')", "print(x)"), ('["1"]', "[1]"), ("echo $x", "echo x"), ("'a' or 'b'", "a' or 'b"),
]  # fmt: skip
VARIATION, DISAGREEMENT = NegativeKind.VARIATION, NegativeKind.DISAGREEMENT


def said(*texts: str) -> list[Written]:
    return [Written(text, whole=not text.endswith("-")) for text in texts]


def test_kinds_are_drawn_by_weight_and_none_is_lost() -> None:
    orders = [order_of({VARIATION: 1, DISAGREEMENT: 3}, 7, str(number)) for number in range(4000)]
    assert all(sorted(order) == [DISAGREEMENT, VARIATION] for order in orders)
    assert Counter(order[0] for order in orders)[DISAGREEMENT] / 4000 == pytest.approx(0.75, abs=0.03)
    assert orders != [order_of({VARIATION: 1, DISAGREEMENT: 3}, 8, str(number)) for number in range(4000)]


def test_what_most_answers_say() -> None:
    found = agree(said("5 plums.", "4 plums.", "4  PLUMS.", "4 plums-"))
    assert isinstance(found, Agreement)
    assert found.chosen.text == "4 plums."
    assert [other.text for other in found.others] == ["5 plums."]


@pytest.mark.parametrize(
    "texts",
    [
        ["Paris", "Paris.", "**Paris**", "\u201cparis\u201d", "`Paris`", "_Paris_."],
        ["42", "$42$", "\\boxed{42}", "\\(42\\)", "*42*.", "$\\boxed{42}$."],
        ["\u6771\u4eac", "\u6771\u4eac\u3002", "**\u6771\u4eac**"],
        ["It's 2**3", "\u201cIt's 2**3.\u201d"],
    ],
)
def test_answers_that_only_look_different_agree(texts: list[str]) -> None:
    """None of them can be the worse answer of a pair."""
    found = agree(said(*texts))
    assert isinstance(found, Agreement)
    assert (found.chosen.text, found.others, found.lacking) == (texts[0], (), Drop.UNANIMOUS)


def test_the_answer_is_written_as_most_write_it() -> None:
    found = agree(said("**Paris**", "Paris", "London", "paris"))
    assert isinstance(found, Agreement)
    assert found.chosen.text == "Paris"


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_answers_that_differ_do_not_agree(one: str, other: str) -> None:
    found = agree(said(one, one, other))
    assert isinstance(found, Agreement)
    assert [answer.text for answer in found.others] == [other]


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (said("one"), Agreement(said("one")[0], (), Drop.UNANIMOUS)),
        (said("one", "two", "three"), Agreement(said("one")[0], (), Drop.NO_MAJORITY)),  # long texts never agree
        (said("cut-", "two", "three"), Agreement(said("two")[0], (), Drop.NO_MAJORITY)),
        (said("a", "b", "a", "b"), Drop.NO_MAJORITY),
        (said("c", "a", "a", "b"), Drop.NO_MAJORITY),
        (said("cut-"), Drop.TRUNCATED),
        (said("  ", "cut-"), Drop.EMPTY_ANSWER),
    ],
)
def test_where_there_is_no_majority(answers: list[Written], result: Agreement | Drop) -> None:
    assert agree(answers) == result


def test_a_disagreeing_answer_is_drawn_as_often_as_it_was_given() -> None:
    found = agree(said("a", "a", "a", "a", "a", "b ", "b ", "c"))
    assert isinstance(found, Agreement)
    drawn = Counter(disagreeing(found, 1, str(number)) for number in range(3000))
    assert drawn["b"] / 3000 == pytest.approx(2 / 3, abs=0.03)
    assert drawn["c"] + drawn["b"] == 3000
    assert disagreeing(Agreement(found.chosen, (), Drop.UNANIMOUS), 1, "x") is None
