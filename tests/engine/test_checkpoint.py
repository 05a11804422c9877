"""The model that a training leaves, whatever its ranks computed in."""

import json
from types import SimpleNamespace

import pytest

from helpers import large
from helpers.fixtures import MODEL
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import Evaluate
from selftrain.storage.commit import read_manifest
from selftrain.storage.folder import FolderStore

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


class Late(FolderStore):
    """A store whose first upload waits until somebody else has finished the stage."""

    def __init__(self, root, meanwhile):
        super().__init__(root)
        self.meanwhile = meanwhile

    def upload(self, path, key):
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        super().upload(path, key)


def test_a_pod_that_was_given_up_for_lost_leaves_the_finished_checkpoint_as_it_is(torch, tmp_path):
    """Nobody can end a pod on a node that does not answer. It saw no manifest, and goes on writing."""
    from selftrain.workers.checkpoint import store_checkpoint
    from selftrain.workers.order import RunOrder
    from selftrain.workers.states import Progress

    # Not the last stage of its iteration, so it writes no card.
    measured = Evaluate.model_validate({"benchmarks": [{"name": "held-out", "uri": "file:///pairs.jsonl"}]})
    work, corpus = large.work(tmp_path, Stage.TRAIN), SimpleNamespace(count=1, better=lambda _: 3, drops={})
    work = work.model_copy(update={"spec": work.spec.model_copy(update={"evaluate": measured})})
    (root := tmp_path / "store").mkdir()

    def attempt(number, store):
        (folder := tmp_path / f"attempt-{number}").mkdir()
        (folder / "model.safetensors").write_text(f"weights of attempt {number}")
        order = RunOrder(work=work.model_copy(update={"attempt": number}), digest="0" * 64, inputs={})
        store_checkpoint(store, order, folder, corpus, Progress())

    attempt(1, Late(root, lambda: attempt(2, FolderStore(root))))
    done = read_manifest(FolderStore(root), work.layout, work.step)
    [part] = done.parts
    assert (done.attempt, part.key) == (2, f"{done.checkpoint}model.safetensors")
    assert (root / part.key).read_text() == "weights of attempt 2"
