"""Which layers get an adapter, and what merging makes of them. tests/engine/test_lora.py does the same with the real PEFT."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from helpers.fixtures import MODEL
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.training import Lora
from selftrain.workers.lora import merge, targets

ATTENTION = [f"self_attn.{name}_proj" for name in "qkvo"]
ALL = [*ATTENTION, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(MODEL))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, [f"model.layers.{layer}.{name}" for layer in (0, 1) for name in ALL]),
        (["q_proj"], ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"]),
        (
            ["mlp.up_proj", "layers.1.self_attn.o_proj"],
            [f"model.layers.{x}" for x in ("0.mlp.up_proj", "1.self_attn.o_proj", "1.mlp.up_proj")],
        ),
        (["model.layers.0.mlp.up_proj"], ["model.layers.0.mlp.up_proj"]),
    ],
)
def test_targets_are_linear_layers_of_these_names(model: PreTrainedModel, wanted: list[str] | None, expected: list[str]) -> None:
    assert targets(model, Lora(target_modules=wanted)) == expected


@pytest.mark.parametrize("wrong", ["query", "proj", "embed_tokens", "lm_head", "norm", "mlp"])
def test_each_target_must_be_there(model: PreTrainedModel, wrong: str) -> None:
    with pytest.raises(UserError) as error:
        targets(model, Lora(target_modules=["q_proj", wrong]))
    assert error.value.reason is Reason.TARGET_NOT_FOUND
    assert f"no linear layer {wrong}; it has down_proj, gate_proj, k_proj" in error.value.message


def test_merging_adds_the_scaled_product_and_takes_the_old_names() -> None:
    state = {
        "embed.weight": torch.tensor([1.0]),
        "a.q.base_layer.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16),
        "a.q.base_layer.bias": torch.tensor([5.0]),
        "a.q.lora_A.default.weight": torch.tensor([[1.0, -1.0]]),
        "a.q.lora_B.default.weight": torch.tensor([[2.0], [0.5]]),
    }
    merged = merge(state, Lora(rank=1, alpha=4))
    assert merged.keys() == {"embed.weight", "a.q.weight", "a.q.bias"}
    assert merged["a.q.weight"].dtype == torch.bfloat16
    assert merged["a.q.weight"].tolist() == [[9.0, -6.0], [5.0, 2.0]]
    assert merged["a.q.bias"].tolist() == [5.0]


def test_small_products_are_rounded_once() -> None:
    """0.00390625 is half a step of bfloat16 at 1: with the product rounded first, it would not be seen to exceed it."""
    product = 0.00390625 * (1 + 2**-9)
    state = {
        "q.base_layer.weight": torch.ones(1, 1, dtype=torch.bfloat16),
        "q.lora_A.default.weight": torch.tensor([[product]]),
        "q.lora_B.default.weight": torch.ones(1, 1),
    }
    assert merge(state, Lora(rank=1, alpha=1))["q.weight"].item() == 1 + 2**-7
