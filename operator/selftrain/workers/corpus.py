"""The training set as token ids on disk: encoded once a pod, read by all of its ranks through the page cache."""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
from selftrain.method.balance import Prompt, left_out
from selftrain.workers.chat import encode_example, load_tokenizer
from selftrain.workers.rows import READ_BATCH

TOKENS, ENCODED, EXAMPLES = "tokens.bin", "encoded.bin", "examples.json"
Sizes = list[tuple[int, int]]
"""Tokens of each sequence of an example: of its prompt alone, and of all."""


@dataclass(frozen=True)
class Corpus:
    """All examples. One example is one sequence, or with `contrasts` two: the better completion and then the worse one.

    `prompts` and `lengths` are of sequences, in tokens; a length includes the prompt.
    """

    tokens: npt.NDArray[np.int32]
    prompts: list[int]
    lengths: list[int]
    contrasts: bool
    drops: dict[Drop, int]
    """Examples that were left out."""

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


def write_corpus(model: Path, tables: Sequence[Path], limit: int, folder: Path, *, contrasts: bool, mirrored: bool | None = None) -> Corpus:
    """Encode the examples of Parquet tables (columns of EXAMPLES).

    Those with more than `limit` tokens in a sequence are left out. What was selected in a run stays even: others go with them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes, shown = _encode(model, tables, folder / ENCODED, contrasts=contrasts)
    unfit = {number for number, found in enumerate(sizes) if any(length > limit for _, length in found)}
    drops = dict.fromkeys(unfit, Drop.TOO_LONG) if mirrored is None else left_out(shown, unfit, mirrored=mirrored)
    if len(drops) == len(sizes):
        message = f"{len(unfit)} of {len(sizes)} training examples do not fit in {limit} tokens, and none is left"
        raise UserError(Reason.SEQUENCE_TOO_LONG, message, REASONS[Reason.SEQUENCE_TOO_LONG][1])
    _keep(folder, sizes, drops)
    kept = [size for number, found in enumerate(sizes) if number not in drops for size in found]
    examples = {"prompts": [prompt for prompt, _ in kept], "lengths": [length for _, length in kept], "contrasts": contrasts}
    (folder / EXAMPLES).write_text(json.dumps({**examples, "drops": Counter(drops.values())}))
    return read_corpus(folder)


def _encode(model: Path, tables: Sequence[Path], path: Path, *, contrasts: bool) -> tuple[list[Sizes], list[Prompt]]:
    """The tokens of all examples in one file; the sizes of each one's sequences, and what it shows."""
    tokenizer = load_tokenizer(model)
    sizes: list[Sizes] = []
    shown: list[Prompt] = []
    with path.open("wb") as file:
        for row in _rows(tables, contrasts=contrasts):
            completions = (row["completion"], row["rejected"]) if contrasts else (row["completion"],)
            encoded = [encode_example(tokenizer, row["messages"], completion) for completion in completions]
            sizes.append([(len(prompt), len(prompt) + len(answer)) for prompt, answer in encoded])
            shown.append((row["pair_id"], row["order"]))
            for prompt, answer in encoded:
                file.write(np.array([*prompt, *answer], dtype=np.int32).tobytes())
    return sizes, shown


def _keep(folder: Path, sizes: Sequence[Sizes], drops: Collection[int]) -> None:
    """Move the tokens to their place without those of dropped examples. They go down in the same file, so that no room is needed."""
    if drops:
        ends = np.cumsum([sum(length for _, length in found) for found in sizes]).tolist()
        tokens, place = np.memmap(folder / ENCODED, dtype=np.int32, mode="r+"), 0
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if number not in drops:
                tokens[place : place + end - start] = tokens[start:end]
                place += end - start
        tokens.flush()
        os.truncate(folder / ENCODED, place * tokens.itemsize)
    (folder / ENCODED).rename(folder / TOKENS)


def read_corpus(folder: Path) -> Corpus:
    """A corpus that was written before. Its tokens stay on disk."""
    examples = json.loads((folder / EXAMPLES).read_text())
    examples["drops"] = {Drop(reason): count for reason, count in examples["drops"].items()}
    return Corpus(np.memmap(folder / TOKENS, dtype=np.int32, mode="r"), **examples)


def _rows(tables: Sequence[Path], *, contrasts: bool) -> Iterator[Mapping[str, Any]]:
    columns = ["pair_id", "order", "messages", "completion", *(["rejected"] if contrasts else [])]
    for path in tables:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=READ_BATCH, columns=columns):
                yield from batch.to_pylist()
