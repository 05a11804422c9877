"""Two ranks learn what one rank learns, however they share the work and the weights."""

import shutil
from math import log

import pytest

from helpers.fixtures import MODEL
from helpers.trainings import fine_tuned
from selftrain.api.recipes import Objective
from selftrain.api.training import Lora

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair
DPO = {"objective": Objective.DPO, "dpo_learning_rate": "0.001"}


def losses_of_both(patch, model, table, folder, stage, **settings):
    alone, expected = fine_tuned(patch, model, table, folder / "alone", zero_stage=0, **settings)
    together, found = fine_tuned(patch, model, table, folder / "together", zero_stage=stage, processes_per_node=2, **settings)
    assert found.keys() == expected.keys()
    assert all((found[name] - expected[name]).float().norm() < 0.01 * expected[name].float().norm() for name in expected)
    return alone, pytest.approx(together, rel=0.01, abs=0.002)


@pytest.mark.parametrize("lora", [None, Lora(rank=4, alpha=8)])
def test_ranks_that_hold_half_of_the_weights_each(monkeypatch, table, tmp_path, lora):
    """Activations are recomputed beside frozen weights that come and go: many versions of DeepSpeed could not."""
    alone, together = losses_of_both(monkeypatch, MODEL, table, tmp_path, 3, lora=lora, epochs=1, activation_checkpointing=True)
    assert alone == together


def test_ranks_that_share_a_reference(monkeypatch, contrast_table, tmp_path):
    """Each measures a part of it, of which the other may need some. While the model is its reference, the loss is log 2."""
    alone, together = losses_of_both(monkeypatch, MODEL, contrast_table, tmp_path, 2, **DPO, dpo_nll_scale="0", epochs=1)
    assert alone == together
    assert alone[0] == pytest.approx(log(2), rel=1e-3)
    assert min(alone) < 0.1


@pytest.fixture
def mixing(torch, tmp_path):
    """A model that examples cannot be packed for, with the micro model's tokenizer."""
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = Lfm2Config(vocab_size=1024, layer_types=["conv", "full_attention"], max_position_embeddings=256, pad_token_id=0, **sizes)
    shutil.copytree(MODEL, tmp_path / "mixing", ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    Lfm2ForCausalLM(config).save_pretrained(tmp_path / "mixing")
    return tmp_path / "mixing"


def test_ranks_that_do_not_pack(monkeypatch, contrast_table, mixing, tmp_path):
    """They need equally many forward passes, since each asks the other for its half of the weights."""
    alone, together = losses_of_both(monkeypatch, mixing, contrast_table, tmp_path, 3, epochs=1, **DPO)
    assert alone == together
