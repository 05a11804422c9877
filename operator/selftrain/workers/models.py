"""Sizes of a model, read from its folder before an engine is loaded: saying no must not cost an engine's start."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError

BYTES_PER_VALUE = 2


@dataclass(frozen=True)
class ModelFacts:
    """What sizes an engine's memory."""

    context: int
    """Longest sequence in tokens."""
    stretches: bool
    """Whether positions are scaled, so that an engine may take longer sequences than `context`."""
    weight_bytes: int
    kv_bytes_per_token: int
    """Keys and values of one token in 16 bits, for plain and grouped attention; other kinds need less."""
    architectures: tuple[str, ...]
    """Names of the classes that can run it, the first that an engine knows counts."""


def read_facts(folder: Path) -> ModelFacts:
    """The facts of a model in Hugging Face layout."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return ModelFacts(_context(text), _stretches(text), weights, _kv_bytes(text), tuple(config.get("architectures") or ()))


def _context(config: dict[str, Any]) -> int:
    length = config.get("max_position_embeddings")
    if not isinstance(length, int):
        message = "the model's config.json does not say how long sequences may be (max_position_embeddings)"
        raise UserError(Reason.MODEL_UNUSABLE, message, "add it, or choose another model")
    return length


def _stretches(config: dict[str, Any]) -> bool:
    """Newer models keep the scaling in `rope_parameters`, some of them by kind of layer."""
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    return any(part.get("factor", 1) != 1 for part in (rope, *rope.values()) if isinstance(part, dict))


def _kv_bytes(config: dict[str, Any]) -> int:
    heads = config.get("num_attention_heads", 1)
    size = config.get("head_dim") or config.get("hidden_size", 0) // heads
    return int(2 * config.get("num_hidden_layers", 1) * (config.get("num_key_value_heads") or heads) * size * BYTES_PER_VALUE)
