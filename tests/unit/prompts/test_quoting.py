"""Which texts of a template tell its parts, and what is done to a value that has one."""

import pytest

from selftrain.prompts.quoting import Structure


@pytest.mark.parametrize(
    ("template", "value", "shown"),
    [
        ("[A]\n{{x}}", "see [a]", "see (a)"),  # a line of its own
        ("See [1], [Note A].\n{{x}}", "[1] [note a]", "[1] (note a)"),
        ("<a>{{x}}</a>", "<a>b</a>", "(a)b(/a)"),
        ("[User Question]\n{{x}}", "<User Question>", "(User Question)"),
        ("<answer>{{x}}</answer>", "x[answer] {answer}", "x[answer] {answer}"),
        ("[Answer]\n{{x}}", "row['answer'] row[“answer”]", "row['answer'] row(“answer”)"),
        ("[本]\n{{x}}", "\U0001f240", "(本)"),  # one character for all three
        ("Answer: {{x}} (over)", "Answer: y\n(over)", "> Answer: y\n> (over)"),
        ("Answer: {{x}}", "\n \nAnswer: y", "\n \n> Answer: y"),
        ("Answer: {{x}}", "„Answer:“ y", "> „Answer:“ y"),
        ("Answer: {{x}}", "no Answer: y", "no Answer: y"),
        ("A: {{x}}", "A: y\nA y", "> A: y\nA y"),
        ("1. {{x}}", "1. y", "1. y"),
        ("A\n{{x}}", "A", "A"),
        ("Answer B\n\n===\n{{x}}", "Answer B, better", "> Answer B, better"),
        ("Answer B\n{{x}}", "Answer Both", "Answer Both"),
        ("{{x}}\nThe end", "The end.", "> The end."),
        ("other\nas in {{x}}", "other people", "other people"),
        ("{{x}} or so\nother", "other people", "other people"),
        ("# Answer\nFrom a model:\n{{x}}", "## Answer\nFrom a friend", "> ## Answer\nFrom a friend"),
        ("Only one answer is right.\nQ: {{x}}", "Only one answer is right. Yes", "> Only one answer is right. Yes"),
        ("Say it.\nQ: {{x}}", "Say it.", "Say it."),
        ("{{x}}", "[[A\ufe0f]] [[B]] [[a]]", "((A\ufe0f)) [[B]] [[a]]"),
        ("{{x}}\n[[A]] or [[B]]", "[[A]] or [[B]]", "> ((A)) or [[B]]"),
    ],
)
def test_what_tells_a_part(template: str, value: str, shown: str) -> None:
    structure = Structure.of([template], ["A"])
    assert structure.quoted(value) == shown
    assert structure.quoted(shown) == shown, "what is quoted already stays as it is"


def test_messages_are_no_neighbours() -> None:
    assert Structure.of(["Be fair.", "{{x}}"], []).quoted("Be fair.") == "Be fair."
