"""Prompt templates: what is built in, what is refused, and that values are never read as templates."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.instructions import Category
from selftrain.api.prompts import Prompts, PromptTemplate
from selftrain.api.recipes import NegativeKind
from selftrain.method.classes import LABELS, LENGTHS
from selftrain.method.verdict import LETTERS, RATINGS, parse_rating
from selftrain.prompts import PromptName, Template, resolve, rewriting, sampled_with

NAMES: tuple[PromptName, ...] = get_args(PromptName)
VALUES = {"instruction": "i", "scale": "10", "answer": "x", "change": "c"} | {f"answer_{letter}": letter for letter in "abcd"}
REWRITING = [kind for kind in NegativeKind if kind.rewrites]


def own(name: PromptName, user: str, system: str | None = None) -> Template:
    return resolve(Prompts.model_validate({name: PromptTemplate(system=system, user=user)}), name)


@pytest.mark.parametrize("name", NAMES)
def test_built_in_templates_are_valid_and_complete(name: PromptName) -> None:
    template = resolve(Prompts(), name)
    (message,) = template.messages(VALUES)
    assert message["role"] == "user"
    assert "{{" not in message["content"]
    assert not message["content"].endswith("\n")


def test_built_in_templates_say_what_the_parsers_read() -> None:
    variation, judge, rewrite = (resolve(Prompts(), name).user for name in ("variation", "judge", "rewrite"))
    assert all(tag in variation for tag in ("<instruction>", "</instruction>", "<answer>", "</answer>"))
    assert all(tag in rewrite for tag in ("<answer>", "</answer>"))
    assert "[[A]]" in judge
    assert "[[B]]" in judge
    ranking, rating = (resolve(Prompts(), name).user for name in ("ranking", "rating"))
    assert all(f"[[{letter}]]" in ranking for letter in LETTERS)
    assert parse_rating(rating) in RATINGS


def test_the_built_in_classification_names_all_that_the_parser_knows() -> None:
    asked = resolve(Prompts(), "classify").user
    lines = [line.rstrip(".") for line in asked.splitlines()]
    named = {category for category in Category for line in lines if "-".join(re.findall("[a-z]+", line)) == category}
    assert named == set(Category)
    assert [line for line in lines if re.match(r"\([a-e]\) ", line)] == [
        f"({letter}) {length.replace('-', ' ')}" for letter, length in LENGTHS.items()
    ]
    assert [line.split(":")[0].lower() for line in lines[-3:]] == LABELS


def test_the_paper_asks_the_bare_instruction() -> None:
    assert resolve(Prompts(), "answer").messages({"instruction": "Add 1 and 2."}) == [{"role": "user", "content": "Add 1 and 2."}]


def test_own_templates_are_used_exactly_as_written() -> None:
    template = own("judge", "  {{instruction}}|{{answer_a}}|{{answer_b}}\n\n", system="Judge.")
    assert template.messages(VALUES) == [{"role": "system", "content": "Judge."}, {"role": "user", "content": "  i|a|b\n\n"}]


def test_placeholders_may_stand_in_the_system_message() -> None:
    assert own("answer", "Go.", system="{{instruction}}").messages(VALUES)[0]["content"] == "i"


@pytest.mark.parametrize(
    ("name", "user", "word"),
    [
        ("answer", "Answer this.", "{{instruction}}"),
        ("judge", "{{instruction}} {{answer_a}}", "{{answer_b}}"),
        ("judge", "{{instruction}} {{answer_a}} {{answer_b}} {{answer}}", "{{answer}}"),
        ("plan", "{{instruction}} {{answer_a}}", "{{answer_b}}"),
        ("variation", "{{instruction}} {{anwser}}", "{{anwser}}"),
        ("ranking", "{{instruction}} {{answer_a}} {{answer_b}} {{answer_c}}", "{{answer_d}}"),
        ("rating", "{{instruction}}", "{{answer}}"),
    ],
)
def test_a_wrong_placeholder_is_named(name: PromptName, user: str, word: str) -> None:
    with pytest.raises(UserError) as error:
        own(name, user)
    assert error.value.reason is Reason.PROMPT_INVALID
    assert word in error.value.message
    assert f"spec.prompts.{name}" in error.value.message


def test_judgments_are_sampled_with_the_judge_prompt_unless_there_is_a_plan() -> None:
    asked = PromptTemplate(user="{{instruction}}|{{answer_a}}|{{answer_b}}")
    assert (sampled_with(Prompts(judge=asked)), sampled_with(Prompts(plan=asked))) == ("judge", "plan")
    assert resolve(Prompts(plan=asked), "plan").user == asked.user
    assert resolve(Prompts(plan=asked), "plan").verdicts == resolve(Prompts(), "judge").verdicts == ("A", "B")
    assert resolve(Prompts(plan=asked), "judge") == resolve(Prompts(), "judge")


def test_a_variation_need_not_show_the_answer() -> None:
    assert own("variation", "{{instruction}}").messages(VALUES)[0]["content"] == "i"


def test_each_kind_of_rewriting_asks_for_a_change_of_its_own() -> None:
    asked = {kind: rewriting(Prompts(), kind) for kind in REWRITING}
    assert len(asked) == 3
    assert len({template.sha256 for template in asked.values()}) == 3, "the lineage tells the kinds apart"
    assert all("{{" not in template.messages(VALUES)[0]["content"] for template in asked.values())


@pytest.mark.parametrize("kind", REWRITING)
def test_an_own_template_may_say_the_change_itself_or_leave_it_to_the_kind(kind: NegativeKind) -> None:
    left = Prompts(rewrite=PromptTemplate(system="Do this. {{change}}", user="{{instruction}}|{{answer}}"))
    said = Prompts(rewrite=PromptTemplate(user="Misspell a word: {{instruction}}|{{answer}}"))
    system, user = (message["content"] for message in rewriting(left, kind).messages(VALUES))
    assert system.removeprefix("Do this. ") in rewriting(Prompts(), kind).user
    assert user == "i|x"
    assert rewriting(said, kind).messages(VALUES)[0]["content"] == "Misspell a word: i|x"


def test_other_braces_are_text() -> None:
    assert own("answer", '{{"a": {{instruction}}}} {x} {{ }}').messages(VALUES)[0]["content"] == '{{"a": i}} {x} {{ }}'


@given(st.text(), st.text())
def test_values_are_never_read_again(one: str, other: str) -> None:
    template = own("judge", "{{instruction}}\n{{answer_a}}\n{{answer_b}}")
    values = {"instruction": "{{answer_a}}" + one, "answer_a": "{{answer_b}}" + other, "answer_b": "\\1{{instruction}}"}
    assert template.messages(values)[0]["content"] == "\n".join(values.values())


def test_the_digest_is_that_of_the_text() -> None:
    assert own("answer", "{{instruction}}").sha256 == resolve(Prompts(), "answer").sha256
    assert own("answer", "{{instruction}} ").sha256 != own("answer", "{{instruction}}").sha256
    assert own("answer", "{{instruction}}", system="").sha256 != own("answer", "{{instruction}}").sha256
