"""The languages of short texts, as people write them. Formulas and code are in none."""

import pytest

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.storage.languages import Languages


@pytest.fixture(scope="module")
def english() -> Languages:
    return Languages(["en"])


@pytest.mark.parametrize(
    "text",
    [
        "Write a poem about cats",
        "thanks!",
        "What is 12 + 35?",
        "Solve x^2 + 3x = 0",
        "12 / 4",
        "def f(x): return x+1",
        "SELECT * FROM users WHERE id = 3;",
        "Explain quantum computing to a five year old in German",
    ],
)
def test_texts_that_are_used(english: Languages, text: str) -> None:
    assert text in english


@pytest.mark.parametrize(
    "text",
    [
        "Schreibe ein Gedicht",
        "Wie geht's?",
        "hola que tal",
        "merci beaucoup pour votre aide",
        "写一首关于猫的诗",
        "こんにちは",
        "Напиши стих",
    ],
)
def test_texts_that_are_left_out(english: Languages, text: str) -> None:
    assert text not in english


def test_several_languages_may_be_wanted() -> None:
    both = Languages(["en", "de"])
    assert [text in both for text in ("Schreibe ein Gedicht", "Write a poem about cats", "Escribe un poema")] == [True, True, False]


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(UserError, match=r"spec\.instructions\.languages: qq is not among") as error:
        Languages(["en", "qq"])
    assert error.value.reason is Reason.INVALID_SPEC
    assert "cy, da, de" in error.value.fix
