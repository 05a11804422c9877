"""What an update makes likely: its loss from the logarithms of its tokens' probabilities.

A micro-batch gives its share of the update's loss; the shares of all micro-batches and ranks add up to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from selftrain.workers.batches import IGNORED, Batch

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
    """DPO (Rafailov et al. 2023, equation 7) plus the better completion's mean NLL over its tokens, both as the mean over pairs.

    So each pair weighs the same, however long its completions are, as in the release: fairseq2 of its time (4e3e52be9, recipes/lm/
    preference_finetune/dpo.py) takes the NLL a token of each batch, and the release's batches are one pair.
    """

    beta: float
    nll_scale: float
    pairs: int
    """Pairs of the whole update, all ranks included."""
    reference: Mapping[int, float]
    """Logarithm of each sequence's probability before training."""

    def __call__(self, logarithms: torch.Tensor, batch: Batch) -> torch.Tensor:
        if not batch.sequences:
            return logarithms.sum()  # of nothing, so that the backward pass has something to go through
        sums = sums_of(logarithms, batch)
        gains = sums - torch.tensor([self.reference[sequence] for sequence in batch.sequences], dtype=sums.dtype, device=sums.device)
        margins = self.beta * (gains[0::2] - gains[1::2])
        means = (sums / sums_of(batch.targets != IGNORED, batch))[0::2]
        return (-functional.logsigmoid(margins).sum() - self.nll_scale * means.sum()) / self.pairs


def sums_of(values: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sum over each sequence, of one value a loss token."""
    return torch.stack([part.sum() for part in values.split(batch.counts)])
