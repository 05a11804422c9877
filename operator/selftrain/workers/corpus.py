"""The training set as token ids on disk: encoded once a pod, read by all of its ranks through the page cache."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.workers.chat import encode_example, load_tokenizer
from selftrain.workers.rows import READ_BATCH

TOKENS, EXAMPLES = "tokens.bin", "examples.json"


@dataclass(frozen=True)
class Corpus:
    """All examples. `prompts` and `lengths` are in tokens; a length includes the prompt."""

    tokens: npt.NDArray[np.int32]
    prompts: list[int]
    lengths: list[int]
    dropped: int
    """Examples that were too long."""

    @cached_property
    def starts(self) -> list[int]:
        """Where each example begins among the tokens."""
        return [0, *np.cumsum(self.lengths).tolist()][:-1]

    def answers(self, examples: Sequence[int]) -> int:
        """Tokens of these examples that the loss is on: the completions and what ends their turns."""
        return sum(self.lengths[example] - self.prompts[example] for example in examples)

    def total(self, examples: Sequence[int]) -> int:
        """Tokens of these examples, prompts included."""
        return sum(self.lengths[example] for example in examples)


def write_corpus(model: Path, tables: Sequence[Path], limit: int, folder: Path) -> Corpus:
    """Encode the examples of Parquet tables (columns messages and completion). Those over `limit` tokens are left out."""
    tokenizer = load_tokenizer(model)
    prompts: list[int] = []
    lengths: list[int] = []
    dropped = 0
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TOKENS).open("wb") as file:
        for row in _rows(tables):
            prompt, answer = encode_example(tokenizer, row["messages"], row["completion"])
            if len(prompt) + len(answer) > limit:
                dropped += 1
                continue
            file.write(np.array([*prompt, *answer], dtype=np.int32).tobytes())
            prompts.append(len(prompt))
            lengths.append(len(prompt) + len(answer))
    if not lengths:
        message = f"none of {dropped} training examples fits in {limit} tokens"
        raise UserError(Reason.SEQUENCE_TOO_LONG, message, REASONS[Reason.SEQUENCE_TOO_LONG][1])
    (folder / EXAMPLES).write_text(json.dumps({"prompts": prompts, "lengths": lengths, "dropped": dropped}))
    return read_corpus(folder)


def read_corpus(folder: Path) -> Corpus:
    """A corpus that was written before. Its tokens stay on disk."""
    examples = json.loads((folder / EXAMPLES).read_text())
    return Corpus(np.memmap(folder / TOKENS, dtype=np.int32, mode="r"), **examples)


def _rows(tables: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    for path in tables:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=READ_BATCH, columns=["messages", "completion"]):
                yield from batch.to_pylist()
