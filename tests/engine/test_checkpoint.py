"""The model that a training leaves, whatever its ranks computed in."""

import json

import pytest

from helpers.fixtures import MODEL

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("computed", ["float32", "bfloat16"])
def test_weights_are_written_in_bfloat16_and_tied_ones_once(torch, tmp_path, computed):
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from selftrain.workers.checkpoint import write_model

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=getattr(torch, computed))
    assert model.config.tie_word_embeddings
    write_model(model, model.state_dict(), MODEL, tmp_path)
    found, seed = load_file(tmp_path / "model.safetensors"), load_file(MODEL / "model.safetensors")
    assert found.keys() == seed.keys()
    assert all(torch.equal(found[name], seed[name].to(torch.bfloat16)) for name in seed)


def test_the_log_tells_what_computed_it(torch, tmp_path):
    from selftrain.workers.checkpoint import write_log
    from selftrain.workers.states import Dtype, Progress

    write_log(Progress(steps=1, losses=[1.25]), "CPU", Dtype.FLOAT32, tmp_path)
    assert json.loads((tmp_path / "training.json").read_text()) == {"device": "CPU", "dtype": "float32", "losses": [1.25]}
