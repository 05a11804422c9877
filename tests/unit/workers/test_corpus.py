"""Examples as token ids: what is too long is left out whole and counted, the rest is complete."""

from pathlib import Path

import pytest

from helpers.fixtures import MODEL
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
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
    assert corpus.count + corpus.drops[Drop.TOO_LONG] == len(ROWS)
    tokenizer = load_tokenizer(MODEL)
    sides = ("completion", "rejected") if contrasts else ("completion",)
    expected = [encode_example(tokenizer, ROWS[i]["messages"], ROWS[i][side]) for i in kept for side in sides]
    assert corpus.prompts == [len(prompt) for prompt, _ in expected]
    assert corpus.tokens.tolist() == [token for prompt, answer in expected for token in (*prompt, *answer)]


def test_an_example_of_just_the_limit_fits(tmp_path: Path) -> None:
    write_table(ROWS, EXAMPLES, tmp_path / "examples.parquet")
    whole = write_corpus(MODEL, [tmp_path / "examples.parquet"], 1000, tmp_path / "whole", contrasts=False)
    longest = max(whole.lengths)
    assert write_corpus(MODEL, [tmp_path / "examples.parquet"], longest, tmp_path / "just", contrasts=False).drops == {}
    assert write_corpus(MODEL, [tmp_path / "examples.parquet"], longest - 1, tmp_path / "below", contrasts=False).drops == {
        Drop.TOO_LONG: 1
    }


def test_what_was_selected_stays_even(tmp_path: Path) -> None:
    """Of the pairs 3, 5 and 9, 5's second order is too long, and with it goes its first."""
    rows = [{**row(words, 3), "pair_id": pair, "order": order} for pair, order, words in
            (("3", "AB", 3), ("5", "AB", 5), ("9", "BA", 9), ("5", "BA", 60), ("3", "BA", 4), ("9", "AB", 8))]  # fmt: skip
    write_table(rows, EXAMPLES, tmp_path / "examples.parquet")
    corpus = write_corpus(MODEL, [tmp_path / "examples.parquet"], 64, tmp_path / "corpus", contrasts=False, mirrored=True)
    assert corpus.drops == {Drop.TOO_LONG: 1, Drop.MIRROR_NOT_KEPT: 1}
    tokenizer = load_tokenizer(MODEL)
    expected = [encode_example(tokenizer, rows[i]["messages"], rows[i]["completion"]) for i in (0, 2, 4, 5)]
    assert corpus.tokens.tolist() == [token for prompt, answer in expected for token in (*prompt, *answer)]
    assert [path.name for path in sorted((tmp_path / "corpus").iterdir())] == ["examples.json", "tokens.bin"]
    write_table(rows[3:4] + rows[1:2], EXAMPLES, tmp_path / "torn.parquet")
    with pytest.raises(UserError, match="1 of 2 training examples do not fit in 64 tokens, and none is left"):
        write_corpus(MODEL, [tmp_path / "torn.parquet"], 64, tmp_path / "none", contrasts=False, mirrored=True)
