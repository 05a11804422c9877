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
    """All examples. One example is one sequence, or with `contrasts` two: the better completion and then the worse one.

    `prompts` and `lengths` are of sequences, in tokens; a length includes the prompt.
    """

    tokens: npt.NDArray[np.int32]
    prompts: list[int]
    lengths: list[int]
    contrasts: bool
    dropped: int
    """Examples that were too long."""

    @cached_property
    def starts(self) -> list[int]:
        """Where each sequence begins among the tokens."""
        return [0, *np.cumsum(self.lengths).tolist()][:-1]

    @cached_property
    def sizes(self) -> list[int]:
        """Tokens of each example."""
        return [sum(self.lengths[sequence] for sequence in self.sequences([example])) for example in range(self.count)]

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(self.lengths) // (1 + self.contrasts)

    def sequences(self, examples: Sequence[int]) -> list[int]:
        """The sequences of these examples."""
        return [sequence for example in examples for sequence in ((2 * example, 2 * example + 1) if self.contrasts else (example,))]

    def better(self, examples: Sequence[int]) -> int:
        """Tokens of these examples' completions and of what ends their turns; with contrasts, of the better ones."""
        first = (2 * example if self.contrasts else example for example in examples)
        return sum(self.lengths[sequence] - self.prompts[sequence] for sequence in first)

    def total(self, examples: Sequence[int]) -> int:
        """Tokens of these examples, prompts included."""
        return sum(self.sizes[example] for example in examples)


def write_corpus(model: Path, tables: Sequence[Path], limit: int, folder: Path, *, contrasts: bool) -> Corpus:
    """Encode the examples of Parquet tables (columns messages, completion, and for contrasts rejected).

    Those with more than `limit` tokens in a sequence are left out.
    """
    tokenizer = load_tokenizer(model)
    prompts: list[int] = []
    lengths: list[int] = []
    dropped = 0
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TOKENS).open("wb") as file:
        for row in _rows(tables, contrasts=contrasts):
            completions = (row["completion"], row["rejected"]) if contrasts else (row["completion"],)
            encoded = [encode_example(tokenizer, row["messages"], completion) for completion in completions]
            if any(len(prompt) + len(answer) > limit for prompt, answer in encoded):
                dropped += 1
                continue
            for prompt, answer in encoded:
                file.write(np.array([*prompt, *answer], dtype=np.int32).tobytes())
                prompts.append(len(prompt))
                lengths.append(len(prompt) + len(answer))
    if not lengths:
        message = f"none of {dropped} training examples fits in {limit} tokens"
        raise UserError(Reason.SEQUENCE_TOO_LONG, message, REASONS[Reason.SEQUENCE_TOO_LONG][1])
    (folder / EXAMPLES).write_text(json.dumps({"prompts": prompts, "lengths": lengths, "contrasts": contrasts, "dropped": dropped}))
    return read_corpus(folder)


def read_corpus(folder: Path) -> Corpus:
    """A corpus that was written before. Its tokens stay on disk."""
    examples = json.loads((folder / EXAMPLES).read_text())
    return Corpus(np.memmap(folder / TOKENS, dtype=np.int32, mode="r"), **examples)


def _rows(tables: Sequence[Path], *, contrasts: bool) -> Iterator[Mapping[str, Any]]:
    columns = ["messages", "completion", *(["rejected"] if contrasts else [])]
    for path in tables:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=READ_BATCH, columns=columns):
                yield from batch.to_pylist()
