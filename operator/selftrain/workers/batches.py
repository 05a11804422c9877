"""From examples to the tensors of a forward pass.

Packed: sequences in one row without padding, positions starting anew in each. For models that would see past their borders
there is a row for each, filled up at the end, which nothing before it sees.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from selftrain.workers.corpus import Corpus

IGNORED = -100
"""The target where nothing is learnt, as PyTorch's cross-entropy has it: its logarithm is 0."""

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """A micro-batch. The last token of a sequence is only ever a target, so it is not among the inputs."""

    sequences: list[int]
    """Which ones these are."""
    inputs: torch.Tensor
    """Token ids, shape (rows, tokens)."""
    positions: torch.Tensor
    """Position of each token in its sequence, same shape."""
    bounds: tuple[int, ...]
    """Where in a row sequences begin and the last one ends."""
    kept: torch.Tensor
    """Places in a row whose next token belongs to a completion: only they need logits."""
    targets: torch.Tensor
    """The next tokens at these places, row after row."""
    counts: list[int]
    """How many of them each sequence has, those where nothing is learnt included."""


def batch_of(corpus: Corpus, examples: Sequence[int], device: torch.device, *, packed: bool) -> Batch:
    """The micro-batch of these examples; without any, one token that nothing is learnt from."""
    sequences = corpus.sequences(examples)
    rows = [corpus.tokens[corpus.starts[sequence] :][: corpus.lengths[sequence]].astype(np.int64) for sequence in sequences]
    prompts = [corpus.prompts[sequence] for sequence in sequences]
    if not rows:
        rows, prompts = [np.zeros(2, dtype=np.int64)], [2]
    return (_packed if packed else _apart)(sequences, rows, prompts, device)


def _packed(sequences: list[int], rows: list[Tokens], prompts: list[int], device: torch.device) -> Batch:
    bounds = [0, *np.cumsum([len(row) - 1 for row in rows]).tolist()]
    kept = [np.arange(begin + prompt - 1, end) for begin, end, prompt in zip(bounds, bounds[1:], prompts, strict=False)]

    def tensor(parts: list[Tokens]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(device)

    return Batch(
        sequences=sequences,
        counts=[len(part) for part in kept],
        inputs=tensor([row[:-1] for row in rows])[None],
        positions=tensor([np.arange(len(row) - 1) for row in rows])[None],
        bounds=tuple(bounds),
        kept=tensor(kept),
        targets=tensor([row[prompt:] for row, prompt in zip(rows, prompts, strict=True)]),
    )


def _apart(sequences: list[int], rows: list[Tokens], prompts: list[int], device: torch.device) -> Batch:
    first, end = min(prompts), max(len(row) for row in rows)
    inputs, targets = np.zeros((len(rows), end), dtype=np.int64), np.full((len(rows), end), IGNORED)
    for number, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        inputs[number, : len(row)] = row
        targets[number, prompt : len(row)] = row[prompt:]
    return Batch(
        sequences=sequences,
        counts=[end - first] * len(rows),
        inputs=torch.from_numpy(inputs[:, :-1]).to(device),
        positions=torch.arange(end - 1, device=device).expand(len(rows), -1),
        bounds=(0, end - 1),
        kept=torch.arange(first - 1, end - 1, device=device),
        targets=torch.from_numpy(targets[:, first:].ravel()).to(device),
    )
