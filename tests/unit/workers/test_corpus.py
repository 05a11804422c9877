"""Examples as token ids: what is too long is left out whole and counted, the rest is complete."""

from pathlib import Path

import pytest

from helpers.fixtures import MODEL
from selftrain.storage.tables import EXAMPLES, write_table
from selftrain.workers.chat import encode_example, load_tokenizer
from selftrain.workers.corpus import write_corpus

VERDICT = " [[A]]"


def row(words: int, rejected: int) -> dict[str, object]:
    messages = [{"role": "user", "content": "Which one?"}]
    example = {"pair_id": str(words), "order": "AB", "sample": 0, "messages": messages, "completion": "cat" + " cat" * words + VERDICT}
    return example | {"rejected": "dog" + " dog" * rejected}


ROWS = [row(3, 3), row(60, 3), row(5, 60), row(9, 9)]


@pytest.mark.parametrize(("contrasts", "kept"), [(False, (0, 2, 3)), (True, (0, 3))])
def test_examples_are_complete_or_left_out(tmp_path: Path, contrasts: bool, kept: tuple[int, ...]) -> None:
    write_table(ROWS, EXAMPLES, tmp_path / "examples.parquet")
    corpus = write_corpus(MODEL, [tmp_path / "examples.parquet"], 64, tmp_path / "corpus", contrasts=contrasts)
    assert corpus.count + corpus.dropped == len(ROWS)
    tokenizer = load_tokenizer(MODEL)
    sides = ("completion", "rejected") if contrasts else ("completion",)
    expected = [encode_example(tokenizer, ROWS[i]["messages"], ROWS[i][side]) for i in kept for side in sides]
    assert corpus.prompts == [len(prompt) for prompt, _ in expected]
    assert corpus.tokens.tolist() == [token for prompt, answer in expected for token in (*prompt, *answer)]


def test_an_example_of_just_the_limit_fits(tmp_path: Path) -> None:
    write_table(ROWS, EXAMPLES, tmp_path / "examples.parquet")
    whole = write_corpus(MODEL, [tmp_path / "examples.parquet"], 1000, tmp_path / "whole", contrasts=False)
    longest = max(whole.lengths)
    assert write_corpus(MODEL, [tmp_path / "examples.parquet"], longest, tmp_path / "just", contrasts=False).dropped == 0
    assert write_corpus(MODEL, [tmp_path / "examples.parquet"], longest - 1, tmp_path / "below", contrasts=False).dropped == 1
