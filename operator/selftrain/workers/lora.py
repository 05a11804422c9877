"""Low-rank adapters by PEFT: which layers get one, and how they end up in the weights."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.api.training import Lora

BASE, DOWN, UP = ".base_layer.", ".lora_A.default.", ".lora_B.default."
"""Parts of a layer with an adapter, as PEFT names them."""


def check_targets(folder: Path, lora: Lora) -> None:
    """Refuse targets that the model in a folder does not have. Its weights are not read."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        targets(AutoModelForCausalLM.from_config(config), lora)


def targets(model: PreTrainedModel, lora: Lora) -> list[str]:
    """Full names of the layers that get an adapter."""
    output = model.get_output_embeddings()
    layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not output]
    if lora.target_modules is None:
        return layers
    for wanted in lora.target_modules:
        if not any(_is(name, wanted) for name in layers):
            there = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
            message = f"the model has no linear layer {wanted}; it has {there}"
            raise UserError(Reason.TARGET_NOT_FOUND, message, REASONS[Reason.TARGET_NOT_FOUND][1])
    return [name for name in layers if any(_is(name, wanted) for wanted in lora.target_modules)]


def add_adapters(model: PreTrainedModel, lora: Lora) -> None:
    """Give the model its adapters, in place. Nothing else is trained from here on, and at first they add nothing."""
    from peft import LoraConfig, inject_adapter_in_model  # here, since who only checks targets has no PEFT

    wanted = targets(model, lora)
    inject_adapter_in_model(LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=float(lora.dropout), target_modules=wanted), model)


def merge(state: Mapping[str, torch.Tensor], lora: Lora) -> dict[str, torch.Tensor]:
    """The weights of the model without adapters that computes the same, in CPU memory where they differ from the base."""
    merged: dict[str, torch.Tensor] = {}
    for name, weight in state.items():
        if BASE in name and name.endswith(".weight"):
            down, up = (state[name.replace(BASE, part)].float() for part in (DOWN, UP))
            # In float32, and rounded once: products in bfloat16 would be rounded before they are added.
            merged[name.replace(BASE, ".")] = (weight.float() + up @ down * (lora.alpha / lora.rank)).to(weight.dtype).cpu()
        elif DOWN not in name and UP not in name:
            merged[name.replace(BASE, ".")] = weight
    return merged


def _is(name: str, wanted: str) -> bool:
    return f".{name}".endswith(f".{wanted}")
