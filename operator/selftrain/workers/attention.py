"""Attention within each example of a packed batch, and never across: one causal block after the other.

No mask over the whole batch is made: it would be mostly empty, and on CPUs it costs as much as if it were full. On GPUs
each block is one call of PyTorch's fused attention (FlashAttention for bfloat16).
"""

from itertools import pairwise

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

NAME = "selftrain-blocks"
SHORT = 512
"""On CPUs, blocks up to this length are faster as plain matrix products (2 to 3 times at 300 tokens). Longer ones would
keep too large a matrix for the backward pass."""
OTHER_KINDS = ("sliding_window", "attention_chunk_size", "attn_logit_softcapping")
"""Settings of models whose attention is not simply causal."""


def register() -> None:
    """Make the attention known to transformers by its name."""
    AttentionInterface.register(NAME, attend_in_blocks)


def suits(model: PreTrainedModel) -> bool:
    """Whether a model may use it and hands it the bounds. Others use what transformers has for them, with masks made from positions."""
    text = model.config.get_text_config()
    return model.is_backend_compatible() and not any(getattr(text, name, None) for name in OTHER_KINDS)


def attend_in_blocks(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    *,
    scaling: float,
    bounds: tuple[int, ...],
    dropout: float = 0.0,
    **_others: object,
) -> tuple[torch.Tensor, None]:
    """In the form that transformers' models call: heads before tokens on the way in, tokens before heads on the way out."""
    blocks = []
    for begin, end in pairwise(bounds):
        q, k, v = (tensor[:, :, begin:end] for tensor in (query, key, value))
        if query.device.type == "cpu" and end - begin <= SHORT and not dropout:
            blocks.append(_products(q, k, v, scaling))
        else:
            grouped = q.shape[1] != k.shape[1]
            blocks.append(
                functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped)
            )
    return torch.cat(blocks, dim=2).transpose(1, 2), None


def _products(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """One block. Query heads that share a key head are stacked, so that keys need no copies."""
    rows, heads, length, size = query.shape
    groups = rows * key.shape[1]
    stacked = query.reshape(groups, -1, size) * scaling
    scores = torch.bmm(stacked, key.flatten(0, 1).transpose(1, 2)).view(groups, -1, length, length)
    later = torch.full((length, length), float("-inf"), dtype=scores.dtype).triu(1)
    weights = torch.softmax(scores + later, dim=-1).view(groups, -1, length)
    return torch.bmm(weights, value.flatten(0, 1)).view(rows, heads, length, -1)
