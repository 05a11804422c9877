"""The end of a training: a model in Hugging Face layout, stored and committed."""

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import PreTrainedModel

from selftrain.api.names import TRAINING_LOG
from selftrain.api.records import Manifest, Part
from selftrain.storage.commit import commit, read_manifest
from selftrain.storage.digests import digest, file_digest, is_model_file
from selftrain.storage.models import INDEX
from selftrain.storage.protocol import ObjectStore
from selftrain.workers.card import write_card
from selftrain.workers.corpus import Corpus
from selftrain.workers.order import RunOrder
from selftrain.workers.states import Dtype, Progress

SOFTWARE = ("deepspeed", "peft", "torch", "transformers")
UPLOADS = 4
DTYPES = ("dtype", "torch_dtype")
"""How config.json spells the type of the weights: newer and older transformers."""


def write_model(model: PreTrainedModel, weights: Mapping[str, torch.Tensor], seed: Path, output: Path) -> None:
    """The trained weights in bfloat16, and all other files as the seed has them, so that it is served like the seed."""
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output, state_dict=_in_bfloat16(weights))
    for path in seed.iterdir():
        if is_model_file(path.name) and path.suffix != ".safetensors" and path.name != INDEX:
            shutil.copyfile(path, output / path.name)
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    changed = {name: "bfloat16" for name in DTYPES if name in config} or {DTYPES[0]: "bfloat16"}
    (output / "config.json").write_text(json.dumps(config | changed, indent=2) + "\n", encoding="utf-8")


def _in_bfloat16(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights that are one tensor stay one: transformers knows by that which ones are tied, and writes them once."""
    made: dict[tuple[int, torch.Size], torch.Tensor] = {}
    state = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tensor.shape)
        if place not in made:
            made[place] = tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
        state[name] = made[place]
    return state


def write_log(progress: Progress, device: str, dtype: Dtype, output: Path) -> None:
    """Losses by update. Where the same training computed in something else, its weights differ."""
    log = {"device": device, "dtype": dtype, "losses": [round(loss, 6) for loss in progress.losses]}
    (output / TRAINING_LOG).write_text(json.dumps(log) + "\n", encoding="utf-8")


def store_checkpoint(store: ObjectStore, order: RunOrder, folder: Path, corpus: Corpus, progress: Progress) -> None:
    """Upload the model and finish the stage, if nobody has.

    A pod that was given up for lost may do so at the same time. Its files would differ by rounding, so they lie below their digest.
    """
    work = order.work
    if read_manifest(store, work.layout, work.step) is not None:
        return
    paths = sorted(folder.iterdir())
    with ThreadPoolExecutor(UPLOADS) as pool:
        digests = list(pool.map(file_digest, paths))
        prefix = work.layout.checkpoint(work.iteration, digest("".join(digests).encode()))
        keys = [f"{prefix}{path.name}" for path in paths]
        list(pool.map(store.upload, paths, keys))
    parts = [Part(key=key, sha256=sha256, bytes=path.stat().st_size) for key, sha256, path in zip(keys, digests, paths, strict=True)]
    manifest = Manifest(
        run=work.run.name,
        iteration=work.iteration,
        stage=work.stage,
        attempt=work.attempt,
        work=order.digest,
        inputs=order.inputs,
        parts=parts,
        checkpoint=prefix,
        counts={"examples": corpus.count, "updates": progress.steps, "judgment tokens": corpus.better(range(corpus.count))},
        drops=corpus.drops,
        seconds=round(progress.seconds * work.spec.train.nodes, 3),
        tokens=progress.tokens,
        software={name: version(name) for name in SOFTWARE},
    )
    commit(store, work.layout, manifest.model_copy(update={"card": write_card(store, work, manifest)}))
