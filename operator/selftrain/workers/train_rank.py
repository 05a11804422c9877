"""One rank of a training, started by torchrun: `python -m selftrain.workers.train_rank ORDER`.

The commit is made in here, by the first rank, while all others wait for it: if that rank dies before, the connection
breaks for all, every pod fails and is started again, and they go on from the last stored state together. A pod that ended
well before the commit would be missing then.
"""

import logging
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path

import torch

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.recipes import Objective
from selftrain.api.seeds import seed_of
from selftrain.storage.open import open_store
from selftrain.workers.exits import Drained, last_words
from selftrain.workers.order import TrainOrder, read_order

if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")  # before DeepSpeed is imported: it would look for a compiler

import deepspeed

from selftrain.workers.batches import Batch, batch_of
from selftrain.workers.checkpoint import store_checkpoint, write_log, write_model
from selftrain.workers.corpus import Corpus, read_corpus, write_corpus
from selftrain.workers.objectives import Likelihood, Preference
from selftrain.workers.objectives import Objective as Loss
from selftrain.workers.packing import Indexes, all_updates, micro_batches, single_batches
from selftrain.workers.ranks import Ranks
from selftrain.workers.reference import Values, reference
from selftrain.workers.schedule import is_saved, learning_rate
from selftrain.workers.states import Dtype, Progress, States
from selftrain.workers.trainer import Trainer

log = logging.getLogger("selftrain.workers.train")

GPU = "gpu"
"""In the names of all devices that Kubernetes can give: nvidia.com/gpu, amd.com/gpu."""


def main() -> int:
    """Train as ordered. Why it failed is left for the parent."""
    order, rank = read_order(Path(sys.argv[1])), int(os.environ["RANK"])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        train(order)
    except BaseException as error:
        words = last_words(_out_of_memory(error))[1]
        order.failure(rank).write_text(words.model_dump_json(), encoding="utf-8")
        log.exception("rank %d: %s", rank, words.message)
        return 1
    return 0


def train(order: TrainOrder) -> None:
    """Make the updates that are not made yet, then write the model, and for a run commit it."""
    require_device(order, usable=torch.cuda.is_available())
    deepspeed.ops.__compatible_ops__ = {}  # compile nothing: it takes minutes where there is a compiler, and pods have none
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo")
    ranks, settings = Ranks(), order.settings
    _introduce(ranks, settings.zero_stage)
    corpus = _shared_corpus(order, ranks)
    torch.manual_seed(seed_of(order.seed, "train", "adapters"))  # every rank draws the same ones
    dtype = shared_dtype(order, ranks, gpu=torch.cuda.is_available())
    trainer = Trainer(order.model, settings, ranks, bf16=dtype is Dtype.BFLOAT16)
    if not trainer.packs:
        log.info("packed examples would see each other in this model: every micro-batch has one example")
    training = Training(order, trainer, ranks, corpus, _reference(order, trainer, ranks, corpus, dtype))
    states = States(open_store(order.run.work.spec.store), order.run, ranks, order.folder, dtype) if order.run else None
    progress = states.restore(trainer) if states else Progress()
    while progress.steps < len(training.updates):
        progress, drained = training.update(progress)
        if states and is_saved(settings, progress.steps, len(training.updates), drained=drained):
            states.save(trainer, progress)
        if drained:
            raise Drained
    _finish(training, dtype, progress)
    torch.distributed.destroy_process_group()


def require_device(order: TrainOrder, *, usable: bool) -> None:
    """Stop a run's rank that was given a GPU and cannot use it: on the CPU it would train until the deadline."""
    if order.run is None or usable:
        return
    resources = order.run.work.pod_settings.resources
    if resources and any(GPU in name for name in resources.limits):
        message = f"no GPU can be used on {platform.node()}, though train.resources ask for one"
        raise PlatformError(Reason.ENGINE_FAILED, message, "look at the node's driver, its runtime class and the image's CUDA version")


def shared_dtype(order: TrainOrder, ranks: Ranks, *, gpu: bool) -> Dtype:
    """What all ranks compute in. Sums over ranks of two kinds would not fit together."""
    found = ranks.gather((platform.node(), Dtype.BFLOAT16 if gpu or order.cpu_bf16 else Dtype.FLOAT32))
    kinds = {dtype for _, dtype in found}
    if len(kinds) > 1:
        message = f"the nodes of this training compute differently: {', '.join(f'{node} in {dtype}' for node, dtype in found)}"
        raise PlatformError(Reason.ENGINE_FAILED, message, "place its pods on nodes of one kind (train.nodeSelector)")
    return kinds.pop()


@dataclass(frozen=True)
class Training:
    """One rank's part in all updates."""

    order: TrainOrder
    trainer: Trainer
    ranks: Ranks
    corpus: Corpus
    reference: Mapping[int, float]
    """For DPO: the logarithm of each sequence's probability before training."""

    @cached_property
    def updates(self) -> list[Indexes]:
        """The examples of every update."""
        settings = self.order.settings
        return list(all_updates(self.corpus.sizes, settings.tokens_per_update, self.order.seed, settings.epochs))

    def update(self, progress: Progress) -> tuple[Progress, bool]:
        """The next update, and whether any pod was asked to stop meanwhile."""
        step, count, examples = progress.steps, len(self.updates), self.updates[progress.steps]
        begin = time.monotonic()
        torch.manual_seed(seed_of(self.order.seed, "train", "update", step, self.ranks.rank))  # so dropout needs no state of its own
        batches = _batches(self.order, self.trainer, self.ranks, self.corpus, examples)
        rate = learning_rate(self.order.settings, step, count)
        share = self.trainer.update(batches, self._objective(examples), rate)
        loss, drains = self.ranks.total([share, self.order.drain.exists()])
        if not isfinite(loss):
            message = f"the loss or its gradient is not finite in update {step + 1} of {count}"
            raise UserError(Reason.ENGINE_FAILED, message, "lower the learning rate")
        seconds, tokens = time.monotonic() - begin, self.corpus.total(examples)
        log.info("update %d of %d: loss %.4f, rate %.3g, %.0f tokens/s", step + 1, count, loss, rate, tokens / seconds)
        done = Progress(
            steps=step + 1,
            tokens=progress.tokens + tokens,
            seconds=round(progress.seconds + seconds, 3),
            losses=[*progress.losses, loss],
        )
        return done, drains > 0

    def _objective(self, examples: Indexes) -> Loss:
        settings = self.order.settings
        if self.order.objective is Objective.SFT:
            return Likelihood(self.corpus.better(examples))
        return Preference(float(settings.dpo_beta), float(settings.dpo_nll_scale), len(examples), self.reference)


def _introduce(ranks: Ranks, stage: int) -> None:
    engine = f"DeepSpeed {deepspeed.__version__}, ZeRO {stage}, {_device()}"
    log.info("rank %d of %d on %s: %s", ranks.rank, ranks.count, platform.node(), engine)
    if ranks.rank:
        logging.getLogger("selftrain").setLevel(logging.WARNING)  # the first rank speaks for all from here on


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _shared_corpus(order: TrainOrder, ranks: Ranks) -> Corpus:
    """The examples, encoded by one rank of each pod for all of it."""
    if os.environ["LOCAL_RANK"] == "0":
        contrasts = order.objective is Objective.DPO
        write_corpus(order.model, order.tables, order.limit, order.corpus, contrasts=contrasts, mirrored=order.mirrored)
    ranks.wait()
    return read_corpus(order.corpus)


def _reference(order: TrainOrder, trainer: Trainer, ranks: Ranks, corpus: Corpus, dtype: Dtype) -> Values:
    """For DPO: what the model thought of every sequence before."""
    if order.objective is Objective.SFT:
        return {}
    return reference(order.run, ranks, dtype, lambda: _measured(order, trainer, ranks, corpus))


def _measured(order: TrainOrder, trainer: Trainer, ranks: Ranks, corpus: Corpus) -> Values:
    """What the model thinks of the sequences that are for this rank in the batches of the first epoch.

    To find bins for all examples at once would take minutes.
    """
    found: Values = {}
    for update in all_updates(corpus.sizes, order.settings.tokens_per_update, order.seed, epochs=1):
        found |= trainer.measure(_batches(order, trainer, ranks, corpus, update))
        if any(ranks.total([order.drain.exists()])):
            raise Drained
    return found


def _batches(order: TrainOrder, trainer: Trainer, ranks: Ranks, corpus: Corpus, examples: Indexes) -> Iterator[Batch]:
    """Micro-batches of some examples that are for this rank."""
    if trainer.packs:
        shares = micro_batches(examples, corpus.sizes, ranks.count, _capacity(order))
    else:
        shares = single_batches(examples, corpus.sizes, ranks.count)
    return (batch_of(corpus, batch, trainer.device, packed=trainer.packs) for batch in shares[ranks.rank])


def _capacity(order: TrainOrder) -> int:
    """Tokens of a micro-batch; a contrast has two sequences."""
    return order.settings.micro_batch * order.settings.sequence_length * (2 if order.objective is Objective.DPO else 1)


def _finish(training: Training, dtype: Dtype, progress: Progress) -> None:
    order, weights = training.order, training.trainer.weights()
    if weights is not None:
        write_model(training.trainer.model, weights, order.model, order.output)
        write_log(progress, _device(), dtype, order.output)
        if order.run:
            store_checkpoint(open_store(order.run.work.spec.store), order.run, order.output, training.corpus, progress)
    training.ranks.wait()


def _out_of_memory(error: BaseException) -> BaseException:
    """PyTorch's words for it, which differ by device, in ours."""
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
        return error
    fix = "lower train.microBatch, raise train.zeroStage, set train.offload or train.activationCheckpointing, or give it more memory"
    return PlatformError(Reason.OUT_OF_MEMORY, f"training ran out of memory ({error})", fix)


if __name__ == "__main__":
    sys.exit(main())
