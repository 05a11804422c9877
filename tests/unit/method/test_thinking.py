"""What of a text is thinking, in each of the ways that templates have it."""

import pytest

from selftrain.method.thinking import after_thinking


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris.", "Paris."),
        ("<think>\nIs it Paris?\n</think>\n\nParis.", "\n\nParis."),
        ("<think>\n\n</think>\n\nParis.", "\n\nParis."),  # a model that was told not to think
        ("\n<think>Paris.</think>Paris.", "Paris."),
        ("Is it Paris?\n</think>\nParis.", "\nParis."),  # opened by the template
        ("<think>Is it Paris?", ""),
        ("<think>Is it <think>?</think>Paris.", "Paris."),
        ("It thinks between <think> and </think>, then answers.", "It thinks between <think> and </think>, then answers."),
        ("<think>They ask for a tag.</think>End it with </think>.", "End it with </think>."),
        ("", ""),
    ],
)
def test_an_answer_is_what_follows_the_thinking(text: str, answer: str) -> None:
    assert after_thinking(text) == answer
