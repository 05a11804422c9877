"""Whether a model keeps the sequences of a packed batch apart. The loaded model is asked; no list could know all kinds of layers.

Attention can be kept within bounds. Layers that carry a state from token to token (Mamba, linear attention, convolutions)
are not told where a sequence begins, and some models make their masks without a look at the positions.
"""

import numpy as np
import torch

from selftrain.workers.batches import Batch, batch_of
from selftrain.workers.corpus import Corpus

LENGTH = 16
"""Tokens of each sequence. What leaks is strongest right after a border."""
ROUNDING = 2e-6
"""Relative to the largest logarithm. Nothing should change at all, but experts that get another number of tokens may round
otherwise: 5e-7 was measured in float32, nothing in bfloat16. What leaks changes a tenth."""


def questions(vocabulary: int, device: torch.device) -> list[Batch]:
    """Three sequences in a row, and the same with another one in the middle."""
    tokens, others = np.random.default_rng(0).integers(vocabulary, size=(2, 3 * LENGTH), dtype=np.int32)
    others[:LENGTH], others[-LENGTH:] = tokens[:LENGTH], tokens[-LENGTH:]
    corpora = (Corpus(row, prompts=[1] * 3, lengths=[LENGTH] * 3, contrasts=False, drops={}) for row in (tokens, others))
    return [batch_of(corpus, range(3), device, packed=True) for corpus in corpora]


def unmoved(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether the logarithms of the outer two are the same in both."""
    changes = (after - before).abs().split(LENGTH - 1)
    return all(bool((change <= ROUNDING * before.abs().max()).all()) for change in (changes[0], changes[-1]))
