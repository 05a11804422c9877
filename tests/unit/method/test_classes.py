"""Reading classifications strictly, and who is wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.instructions import Category, Classify, Length
from selftrain.api.records import Drop
from selftrain.method.classes import Class, parse_class, unwanted

MATHS = Class(Category.MATHEMATICAL_REASONING, 7, Length.ONE_PARAGRAPH)


@pytest.mark.parametrize(
    "text",
    [
        "Category: mathematical reasoning\nComplexity: 7\nLength: c",
        "category: Mathematical-Reasoning\n complexity : 7 \nLENGTH: (C)",
        "I would say:\n\nCategory: mathematical reasoning\n\nComplexity: 7\nLength: (c) 1 paragraph\n\nSo much for that.",
    ],
)
def test_three_lines_are_read(text: str) -> None:
    assert parse_class(text, 10) == MATHS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "Category: mathematical reasoning\nComplexity: 7",
        "Complexity: 7\nCategory: mathematical reasoning\nLength: c",
        "Category: coding\nCategory: mathematical reasoning\nComplexity: 7\nLength: c",
        "Category: coding or mathematical reasoning\nComplexity: 7\nLength: c",
        "Category: reasoning\nComplexity: 7\nLength: c",
        "Category: coding\nComplexity: 11\nLength: c",
        "Category: coding\nComplexity: 0\nLength: c",
        "Category: coding\nComplexity: 7.5\nLength: c",
        "Category: coding\nComplexity: 7\nLength: f",
        "Category: coding\nComplexity: 7\nLength: a paragraph",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert parse_class(text, 10) is None


def test_the_scale_is_the_highest_complexity() -> None:
    text = "Category: coding\nComplexity: 6\nLength: a"
    assert parse_class(text, 5) is None
    assert parse_class(text, 6) == Class(Category.CODING, 6, Length.ONE_SENTENCE)


@given(category=st.sampled_from(Category), complexity=st.integers(1, 10), number=st.integers(0, 4))
def test_whatever_can_be_said_is_read(category: Category, complexity: int, number: int) -> None:
    text = f"Category: {category.replace('-', ' ')}\nComplexity: {complexity}\nLength: ({'abcde'[number]})"
    assert parse_class(text, 10) == Class(category, complexity, list(Length)[number])


@given(text=st.text(alphabet="Category:Complexity:Length: 1234567890abcde()\n"))
def test_no_text_breaks_the_parser(text: str) -> None:
    found = parse_class(text, 10)
    assert found is None or 1 <= found.complexity <= 10


@pytest.mark.parametrize(
    ("wanted", "drop"),
    [
        ({}, None),
        ({"categories": ["coding", "mathematical-reasoning"]}, None),
        ({"categories": ["coding"]}, Drop.CATEGORY),
        ({"minimumComplexity": 7, "maximumComplexity": 7}, None),
        ({"minimumComplexity": 8}, Drop.COMPLEXITY),
        ({"maximumComplexity": 6}, Drop.COMPLEXITY),
        ({"lengths": ["1-paragraph"]}, None),
        ({"lengths": ["1-sentence", "2-paragraphs"]}, Drop.LENGTH),
        ({"categories": ["coding"], "minimumComplexity": 8, "lengths": ["1-sentence"]}, Drop.CATEGORY),
    ],
)
def test_who_is_wanted(wanted: dict[str, object], drop: Drop | None) -> None:
    assert unwanted(MATHS, Classify.model_validate(wanted)) is drop
