"""Examples that are packed together do not see each other, whatever the model's layers are."""

import pytest

from helpers.trainers import (
    SETTINGS,
    batches_of,
    difference,
    gradients,
    likelihood,
    plain_loss,
    plain_preference,
    preference,
    trainer_of,
    unpacked,
)

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair


@pytest.mark.parametrize(("rows", "key_heads", "value_size"), [(1, 4, 12), (1, 2, 12), (1, 4, 8), (2, 2, 16)])
@pytest.mark.parametrize("short", [0, 512])
def test_blocks_are_causal_attention_each(torch, monkeypatch, rows, key_heads, value_size, short):
    """Values need not be as long as keys: in latent attention (DeepSeek) they are shorter."""
    from selftrain.workers import attention

    monkeypatch.setattr(attention, "SHORT", short)
    torch.manual_seed(0)
    shapes = (4, 12), (key_heads, 12), (key_heads, value_size)
    query, key, value = (torch.randn(rows, heads, 11, size) for heads, size in shapes)
    found, _ = attention.attend_in_blocks(None, query, key, value, None, scaling=0.3, bounds=(0, 4, 11))
    for block in (slice(0, 4), slice(4, 11)):
        q, k, v = query[:, :, block], *(x[:, :, block].repeat_interleave(4 // key_heads, dim=1) for x in (key, value))
        hidden = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
        expected = (q @ k.transpose(2, 3) * 0.3).masked_fill(hidden, float("-inf")).softmax(-1) @ v
        torch.testing.assert_close(found[:, block], expected.transpose(1, 2))


SIZES = {
    "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256, "pad_token_id": 0, "initializer_range": 0.2,
}  # fmt: skip
WINDOW = {"sliding_window": 20}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
LATENT = {
    "head_dim": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
    "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2,
    "moe_intermediate_size": 16, "first_k_dense_replace": 1,
}  # fmt: skip
APART = {
    "llama": {},
    "stablelm": {},
    "qwen3": {},
    "mistral": WINDOW,
    "phi3": WINDOW,
    "gemma2": WINDOW,
    "gemma3_text": WINDOW,
    "cohere2": WINDOW,
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": EXPERTS,
    "deepseek_v3": LATENT,
}
"""Kinds of models that keep packed examples apart: attention alone, of any sort, and experts."""
MIXING = {
    "gpt_oss": {**WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "qwen3_next": {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 16},
    "qwen3_5_text": LINEAR,
    "granitemoehybrid": {**MAMBA, "layer_types": ["mamba", "attention"], "num_local_experts": 0, "shared_intermediate_size": 32},
    "falcon_h1": {**MAMBA, "mamba_n_heads": 4, "mamba_d_ssm": 32},
    "llama4_text": {"attention_chunk_size": 20, "num_local_experts": 2, "intermediate_size_mlp": 32, "no_rope_layers": [1, 0]},
    "bloom": {"n_layer": 2, "n_head": 4},
}
"""Kinds that do not: layers with a state, masks without positions, chunks counted from where the row begins, ALiBi."""
EXAMPLES = (3, 14, 26, 37)


@pytest.fixture
def seed(torch, tmp_path, request):
    """A random model of a kind."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    kind = request.param
    config = AutoConfig.for_model(kind, **{**SIZES, **APART.get(kind, {}), **MIXING.get(kind, {})})
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    return tmp_path


def plain(torch, seed):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(seed, dtype=torch.float32).train()


def of(model):
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize(("seed", "packs"), [(k, True) for k in APART] + [(k, False) for k in MIXING], indirect=["seed"])
def test_packed_or_not_every_example_counts_as_if_it_were_alone(torch, corpus, seed, packs):
    model = plain(torch, seed)
    expected = plain_loss(torch, model, corpus, EXAMPLES)
    expected.backward()
    assert trainer_of(folder=seed).packs == packs
    trainer = trainer_of(SETTINGS.model_copy(update={"activation_checkpointing": True}), bf16=False, folder=seed)
    assert trainer.packs == packs
    batches = batches_of(torch, corpus, EXAMPLES, 1000) if packs else unpacked(torch, corpus, EXAMPLES)
    loss, found = gradients(trainer, batches, likelihood(corpus, EXAMPLES))
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert difference(torch, found, of(model)) < 1e-4


@pytest.mark.parametrize("seed", MIXING, indirect=True)
def test_contrasts_of_models_that_do_not_pack_agree_with_a_plain_loop(torch, contrasts, seed):
    """The two completions of a contrast do not see each other either."""
    model, reference = plain(torch, seed), plain(torch, seed)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1.1)
    expected = plain_preference(torch, model, reference, contrasts, EXAMPLES)
    expected.backward()
    trainer = trainer_of(bf16=False, folder=seed)
    objective = preference(trainer, torch, contrasts, EXAMPLES)
    with torch.no_grad():
        trainer.model.get_output_embeddings().weight.mul_(1.1)
    loss, found = gradients(trainer, unpacked(torch, contrasts, EXAMPLES), objective)
    assert loss == pytest.approx(expected.item(), rel=1e-4)
    assert difference(torch, found, of(model)) < 1e-3
