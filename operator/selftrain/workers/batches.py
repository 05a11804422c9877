"""From examples to the tensors of a forward pass: sequences in a row without padding, positions starting anew in each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from selftrain.workers.corpus import Corpus


@dataclass(frozen=True)
class Batch:
    """A packed micro-batch. The last token of a sequence is only ever a target, so it is not among the inputs."""

    sequences: list[int]
    """Which ones these are."""
    inputs: torch.Tensor
    """Token ids, shape (1, tokens)."""
    positions: torch.Tensor
    """Position of each token in its sequence, shape (1, tokens)."""
    bounds: tuple[int, ...]
    """Where sequences begin and the last one ends."""
    kept: torch.Tensor
    """Places whose next token belongs to a completion: only they need logits."""
    targets: torch.Tensor
    """The next tokens at these places."""
    counts: list[int]
    """How many of them each sequence has."""


def batch_of(corpus: Corpus, examples: Sequence[int], device: torch.device) -> Batch:
    """The micro-batch of these examples; without any, one token that nothing is learnt from."""
    sequences = corpus.sequences(examples)
    rows = [corpus.tokens[corpus.starts[sequence] :][: corpus.lengths[sequence]] for sequence in sequences]
    prompts = [corpus.prompts[sequence] for sequence in sequences]
    if not rows:
        rows, prompts = [np.zeros(2, dtype=np.int32)], [2]
    bounds = [0, *np.cumsum([len(row) - 1 for row in rows]).tolist()]
    kept = [np.arange(begin + prompt - 1, end) for begin, end, prompt in zip(bounds, bounds[1:], prompts, strict=False)]

    def tensor(parts: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(parts).astype(np.int64)).to(device)

    return Batch(
        sequences=sequences,
        counts=[len(part) for part in kept],
        inputs=tensor([row[:-1] for row in rows])[None],
        positions=tensor([np.arange(len(row) - 1) for row in rows])[None],
        bounds=tuple(bounds),
        kept=tensor(kept),
        targets=tensor([row[prompt:] for row, prompt in zip(rows, prompts, strict=True)]),
    )
