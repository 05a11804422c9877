"""What an update makes likely: its loss from the logarithms of its tokens' probabilities.

A micro-batch gives its share of the update's loss; the shares of all micro-batches and ranks add up to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from selftrain.workers.batches import Batch

Objective = Callable[[torch.Tensor, Batch], torch.Tensor]
"""From the logarithms of a micro-batch's loss tokens to its share of the loss."""


@dataclass(frozen=True)
class Likelihood:
    """SFT: mean negative log-likelihood over the update's loss tokens, each of the same weight."""

    tokens: int
    """Loss tokens of the whole update, all ranks included."""

    def __call__(self, logarithms: torch.Tensor, _batch: Batch) -> torch.Tensor:
        return -logarithms.sum() / self.tokens


@dataclass(frozen=True)
class Preference:
    """DPO (Rafailov et al. 2023, equation 7), mean over pairs, plus the better completions' mean NLL over tokens (release)."""

    beta: float
    nll_scale: float
    pairs: int
    """Pairs of the whole update, all ranks included."""
    tokens: int
    """Tokens of its better completions."""
    reference: Mapping[int, float]
    """Logarithm of each sequence's probability before training."""

    def __call__(self, logarithms: torch.Tensor, batch: Batch) -> torch.Tensor:
        if not batch.sequences:
            return logarithms.sum()  # of nothing, so that the backward pass has something to go through
        sums = sums_of(logarithms, batch)
        gains = sums - torch.tensor([self.reference[sequence] for sequence in batch.sequences], dtype=sums.dtype, device=sums.device)
        margins = self.beta * (gains[0::2] - gains[1::2])
        return -functional.logsigmoid(margins).sum() / self.pairs - self.nll_scale * sums[0::2].sum() / self.tokens


def sums_of(logarithms: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sum over each sequence."""
    return torch.stack([part.sum() for part in logarithms.split(batch.counts)])
