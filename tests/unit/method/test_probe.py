from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Guesses
from selftrain.method.probe import FOLDS, LENGTH, NEARNESS, OF_ANSWER, OF_INSTRUCTION, Case, case, embedded_case, fit, guess

PAIRS = 100
WORDS = [f"w{number}" for number in range(2000)]


def text(random: Random, size: int) -> str:
    return " ".join(random.choices(WORDS, k=size))


def share(pairs: list[tuple[str, str, str]]) -> float:
    told = guess(case(*pair) for pair in pairs)
    assert told.total == len(pairs)
    return told.right / told.total


def test_features_by_hand() -> None:
    told = case("Is it red?", "Red it is.", "Blue, blue!").features
    assert {name: round(value, 6) for name, value in told.items()} == {
        "blue": -0.5, "is": 0.5, "it": 0.5, "red": 0.5, OF_INSTRUCTION: 1, OF_ANSWER: 1, LENGTH: round(0.2876820724, 6)
    }  # fmt: skip


@given(st.text(), st.text(), st.text())
def test_answers_that_are_swapped_change_the_sign_and_nothing_else(instruction: str, one: str, other: str) -> None:
    there, back = case(instruction, one, other), case(instruction, other, one)
    assert there.fold == back.fold < FOLDS
    assert there.features == {name: -value for name, value in back.features.items()}


def test_what_embeddings_say_by_hand() -> None:
    told = embedded_case("Q", [1.0, 0.0], ([0.6, 0.8], [0.0, 1.0])).features
    assert {name: round(value, 6) for name, value in told.items()} == {"0": 0.6, "1": 0, NEARNESS: 0.6}


def test_an_answer_that_is_nearer_to_its_instruction_is_guessed() -> None:
    random = Random(4)

    def near(vector: list[float], noise: float) -> list[float]:
        return [value + random.gauss(0, noise) for value in vector]

    asked = [near([0.0] * 8, 1) for _ in range(PAIRS)]
    leaking = guess(embedded_case(str(n), one, (near(one, 0.5), near([0.0] * 8, 1))) for n, one in enumerate(asked))
    even = guess(embedded_case(str(n), one, (near(one, 0.5), near(one, 0.5))) for n, one in enumerate(asked))
    assert leaking.correct > 0.9 * PAIRS
    assert 0.3 * PAIRS < even.correct < 0.7 * PAIRS


def test_pairs_that_differ_by_chance_are_not_guessed() -> None:
    random = Random(1)
    assert 0.35 < share([(text(random, 10), text(random, 30), text(random, 30)) for _ in range(PAIRS)]) < 0.65


@pytest.mark.parametrize("leak", ["topic", "word", "length"])
def test_a_leak_is_found_on_instructions_that_were_not_seen(leak: str) -> None:
    random = Random(2)
    pairs = []
    for _ in range(PAIRS):
        asked, chosen, rejected = text(random, 10), text(random, 30), text(random, 30)
        chosen += f" {asked}" if leak == "topic" else ""
        rejected += {"topic": f" {text(random, 10)}", "word": " instead", "length": f" {text(random, 30)}"}[leak]
        pairs.append((asked, chosen, rejected))
    assert share(pairs) > 0.75


def test_what_is_known_by_heart_is_no_leak() -> None:
    """Every instruction occurs often with the same answers, which are different by chance: known pairs would all be guessed."""
    random = Random(3)
    some = [(text(random, 10), text(random, 30), text(random, 30)) for _ in range(30)]
    seen = [case(*pair).features for pair in some]
    weights = fit(seen)
    assert all(sum(weights[name] * value for name, value in features.items()) > 0 for features in seen)
    assert share(some * 5) < 0.75


def test_half_the_pairs_that_give_themselves_away_are_three_quarters_guessed() -> None:
    """Near misses: one word is another one, and where it is not `instead` it occurs nowhere else. A coin is right on half of these."""
    pairs = [(f"do {n}", f"it is v{n} now", f"it is {'instead' if n % 2 else f'x{n}'} now") for n in range(4 * PAIRS)]
    told = guess(case(*pair) for pair in pairs)
    assert (told.correct, told.ties, told.total) == (2 * PAIRS, 2 * PAIRS, 4 * PAIRS)
    assert share(pairs) == 0.75


def test_equal_answers_are_ties_and_a_single_pair_teaches_nothing() -> None:
    assert guess([case("Q", "same", "Same!")] * 3) == Guesses(correct=0, ties=3, total=3)
    assert guess([case("Q", "this", "that one")]) == Guesses(correct=0, ties=1, total=1)
    assert guess([]).total == 0
    assert fit([]) == {}
    assert guess([Case(0, {"a": 1.0}), Case(1, {"a": 1.0})]).correct == 2
