"""train: a judge fine-tuned on what was selected, with DeepSpeed. The pod's process, without any heavy library.

It fetches what the ranks need, starts them with torchrun, and cleans up. The ranks store and commit the
result themselves (train_rank says why).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from selftrain.api.names import Layout, job_name
from selftrain.api.recipes import Objective
from selftrain.api.stages import Stage, Step
from selftrain.api.training import Train
from selftrain.planning.steps import start_iteration
from selftrain.storage.commit import manifest_digest, read_manifest, work_digest
from selftrain.storage.protocol import ObjectStore
from selftrain.workers.context import Context, finished, input_name, judge
from selftrain.workers.exits import Drain
from selftrain.workers.launch import launch, rendezvous
from selftrain.workers.machine import read_machine
from selftrain.workers.models import read_facts
from selftrain.workers.order import RunOrder, TrainOrder
from selftrain.workers.rows import fetch_all


def run(context: Context) -> None:
    """Train one iteration's judge. A pod that comes back after the commit has nothing to do."""
    work, spec = context.work, context.work.spec
    if read_manifest(context.store, context.layout, work.step) is None:
        meeting = rendezvous(
            job_name(work.run.name, work.step, work.attempt), context.index, spec.train.nodes, spec.deadlines.pending_seconds
        )
        launch(_order(context), read_machine(), meeting, context.drain)
    if context.index == 0:
        _clear(context.store, context.layout, work.iteration)


def fine_tune(model: Path, tables: Sequence[Path], settings: Train, seed: int, output: Path) -> None:
    """Train a model folder on Parquet tables of examples outside of any run. A new model folder is written."""
    with tempfile.TemporaryDirectory(prefix="train-") as scratch:
        order = _prepare(Path(scratch), model, tables, settings, seed, settings.objective or Objective.SFT)
        order = order.model_copy(update={"output": output})
        launch(order, read_machine(), None, Drain())


def _order(context: Context) -> TrainOrder:
    """The order of a run's training, with all inputs in place."""
    work, recipe, source = context.work, context.work.spec.resolved, Step(context.work.iteration, Stage.SELECT)
    model_name, model = judge(context, start_iteration(recipe, work.iteration))
    inputs = {model_name: model.digest, input_name(source): manifest_digest(context.store, context.layout, source)}
    tables = fetch_all(context.store, finished(context, source).parts, context.scratch)
    order = _prepare(context.scratch, model.path, tables, work.spec.train, work.spec.seed, recipe.objective_of(work.iteration))
    return order.model_copy(update={"run": RunOrder(work=work, digest=work_digest(work, {}, inputs), inputs=inputs)})


def _clear(store: ObjectStore, layout: Layout, iteration: int) -> None:
    """Remove what is for resuming, markers of states first: a finished stage needs none of it."""
    keys = [info.key for info in store.list(layout.states(iteration))]
    store.delete(key for key in keys if key.endswith(".json"))
    store.delete(key for key in keys if not key.endswith(".json"))
    store.delete([layout.reference(iteration)])


def _prepare(scratch: Path, model: Path, tables: Sequence[Path], settings: Train, seed: int, objective: Objective) -> TrainOrder:
    """The order of a training. Examples must fit both the model and the settings."""
    folder = scratch / "ranks"
    folder.mkdir()
    return TrainOrder(
        folder=folder,
        model=model,
        tables=list(tables),
        limit=min(settings.sequence_length, read_facts(model).context),
        output=scratch / "checkpoint",
        settings=settings.aiming_at(objective),
        objective=objective,
        seed=seed,
        cpu_bf16=read_machine().bfloat16,
    )
