"""Near duplicates: what is told from what, how well, and in how much memory."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.method.near import HASHES, Near, bands_of, sequences, signature

WORDS = [f"word{number}" for number in range(5000)]
DRAW = random.Random(1)
LONG = " ".join(DRAW.choices(WORDS, k=200))


def near(one: str, other: str, similarity: float = 0.72) -> bool:
    seen = Near(similarity)
    assert seen.add(one), "nothing was there before"
    return not seen.add(other)


def similarity(one: str, other: str) -> float:
    return len(sequences(one) & sequences(other)) / len(sequences(one) | sequences(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Write a short poem about cats.", "write a short  poem\nabout CATS ."),
        (LONG, LONG + " word7"),
        (f"As an artist, {LONG} Draw Paris.", f"As an artist, {LONG} Draw Rome."),
        (
            "请你写一首关于猫和狗在花园里一起玩耍的诗，要押韵，并且要有趣，最后再翻译成英文。",
            "请你写一首关于猫和狗在花园里一起玩耍的诗，要押韵，并且要有趣，最后再翻译成法文。",
        ),
    ],
)
def test_near_duplicates_are_told(one: str, other: str) -> None:
    assert near(one, other)
    assert near(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 12 + 35?", "What is 12 + 36?"),
        ("What is 12 + 35?", "What is 12 - 35?"),
        ("Write a short poem about cats.", "Write a short poem about dogs."),
        (
            "Natalia sold 48 clips in April and half as many in May. How many did she sell?",
            "Natalia sold 90 clips in April and twice as many in May. How many did she sell?",
        ),
        ("写一首关于猫的诗", "写一首关于狗的诗"),
        (LONG, " ".join(reversed(LONG.split()))),
    ],
)
def test_different_tasks_are_not(one: str, other: str) -> None:
    assert not near(one, other)


@given(texts=st.lists(st.text(min_size=1, max_size=30), max_size=8))
def test_a_text_is_a_near_duplicate_of_itself_and_the_dropped_ones_are_forgotten(texts: list[str]) -> None:
    seen = Near(0.72)
    kept = [text for text in texts if seen.add(text)]
    assert not any(seen.add(text) for text in texts)
    again = Near(0.72)
    assert all(again.add(text) for text in kept)


def changed(share: float) -> tuple[str, str]:
    words = DRAW.choices(WORDS, k=120)
    return " ".join(words), " ".join(word if DRAW.random() > share else DRAW.choice(WORDS) for word in words)


@pytest.mark.parametrize("share", [0.01, 0.03, 0.05, 0.2])
def test_equal_numbers_of_signatures_estimate_the_similarity(share: float) -> None:
    pairs = [changed(share) for _ in range(100)]
    errors = [float((signature(one) == signature(other)).mean()) - similarity(one, other) for one, other in pairs]
    assert abs(sum(errors)) / len(errors) < 4 * (0.25 / HASHES / len(errors)) ** 0.5


@pytest.mark.parametrize(("share", "least", "most"), [(0.002, 0.99, 1), (0.1, 0, 0.15), (0.5, 0, 0)])
def test_texts_are_found_as_often_as_banding_promises(share: float, least: float, most: float) -> None:
    found = [near(*changed(share)) for _ in range(200)]
    assert least <= sum(found) / len(found) <= most


def test_bands_follow_the_similarity() -> None:
    assert bands_of(0.72) == 14
    assert bands_of(1) == 1
    numbers = [bands_of(number / 20) for number in range(21)]
    assert numbers == sorted(numbers, reverse=True)


def test_a_higher_similarity_keeps_more() -> None:
    pairs = [changed(0.03) for _ in range(100)]
    told = [sum(near(*pair, similarity=wanted) for pair in pairs) for wanted in (0.5, 0.72, 0.95)]
    assert told == sorted(told, reverse=True)
    assert told[0] > 95
    assert told[2] < 20


def test_a_remembered_text_takes_little_memory_whatever_its_length() -> None:
    seen, texts = Near(0.72), [" ".join(DRAW.choices(WORDS, k=300)) for _ in range(500)]
    tracemalloc.start()
    try:
        assert all(seen.add(text) for text in texts)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1500 * 500
