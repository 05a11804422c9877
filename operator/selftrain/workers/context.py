"""What every recipe is given, and how it comes by its inputs. Digests of inputs go into the lineage from here."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.names import GENERATOR_HUB_TOKEN, HUB_TOKEN, WEAKER_HUB_TOKEN, Layout
from selftrain.api.records import Frozen, Manifest, Work
from selftrain.api.stages import Stage, Step
from selftrain.storage.commit import fetch_part, manifest_digest, read_manifest
from selftrain.storage.digests import canonical_json, digest, file_digest, model_digest
from selftrain.storage.inputs import BENCHMARK, GENERATOR, INSTRUCTIONS, LABELLED, MODEL, WEAKER, Kind, resolve, resolve_files
from selftrain.storage.protocol import ObjectNotFound, ObjectStore
from selftrain.workers.exits import Drain


@dataclass(frozen=True)
class Fetched:
    """An input on this machine and its digest."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Files:
    """An input of one or more files on this machine, and the digest of them all."""

    paths: Sequence[Path]
    digest: str


@dataclass(frozen=True)
class Context:
    """One worker: what it is to do, where results go, where it may write meanwhile."""

    work: Work
    store: ObjectStore
    scratch: Path
    index: int
    """Which of the stage's pods this is."""
    drain: Drain

    @property
    def layout(self) -> Layout:
        return self.work.layout


def input_name(step: Step) -> str:
    """Name of a step among a manifest's inputs."""
    return f"iteration-{step.iteration:03d}/{step.stage}"


def instructions(context: Context) -> Files | None:
    """The run's instructions, if it has some."""
    own = context.work.spec.instructions
    if own is None:
        return None
    paths = resolve_files(own.uri, context.work.spec.store, context.scratch, INSTRUCTIONS)
    digests = [file_digest(path) for path in paths]
    whole = digests[0] if len(paths) == 1 else digest(canonical_json(digests))
    _check_frozen(context, "instructions", whole, INSTRUCTIONS.not_found)
    return Files(paths, whole)


def labelled(context: Context) -> Fetched | None:
    """The run's file of labelled pairs, if it has one."""
    own = context.work.spec.labelled
    return _file(context, "labelled", own.uri, LABELLED) if own else None


def benchmark(context: Context, name: str, uri: str) -> Fetched:
    """One benchmark's file."""
    return _file(context, f"benchmark/{name}", uri, BENCHMARK)


def generator(context: Context) -> tuple[str, Fetched]:
    """The model that writes answers: the run's own or the seed. Its name as an input comes first."""
    own = context.work.spec.generator
    return ("generator", _model(context, "generator", own.uri, GENERATOR)) if own else ("model", seed(context))


def weaker(context: Context) -> Fetched:
    """The model whose answers are the worse ones."""
    own = context.work.spec.weaker
    assert own is not None  # noqa: S101 - without one, the step that loads it is not planned
    return _model(context, "weaker", own.uri, WEAKER)


def writers(context: Context) -> dict[str, Path]:
    """The files of the models that write answers, by name, without their weights where they are not the seed's."""
    spec = context.work.spec
    named = {"generator": (spec.generator, GENERATOR), "weaker": (spec.weaker, WEAKER)}
    own = {
        name: resolve(model.uri, spec.store, context.scratch, kind, _token(kind), weights=False)
        for name, (model, kind) in named.items()
        if model is not None
    }
    return own if spec.generator else {"generator": seed(context).path, **own}


def seed(context: Context) -> Fetched:
    """The seed model."""
    return _model(context, "model", context.work.spec.model.uri, MODEL)


def judge(context: Context, iteration: int) -> tuple[str, Fetched]:
    """The judge of an iteration, 0 being the seed. Its name as an input comes first."""
    if iteration == 0:
        return "model", seed(context)
    step = Step(iteration, Stage.TRAIN)
    folder = context.scratch / "judge"
    for part in finished(context, step).parts:
        fetch_part(context.store, part, folder / part.key.rpartition("/")[2])
    return input_name(step), Fetched(folder, manifest_digest(context.store, context.layout, step))


def finished(context: Context, step: Step) -> Manifest:
    """The manifest of an earlier step. The planner starts nothing before its inputs are there."""
    manifest = read_manifest(context.store, context.layout, step)
    if manifest is None:
        message = f"{context.store.uri}/{context.layout.manifest(step)} is missing, and {context.work.step} needs it"
        raise PlatformError(Reason.STORE_CORRUPT, message, "restore it, or start a new run")
    return manifest


def freeze(context: Context, inputs: Mapping[str, str]) -> None:
    """Write run.json, so that every later step can tell that its inputs are still the ones the run was begun with."""
    frozen = Frozen(run=context.work.run, spec=context.work.spec, inputs=dict(inputs))
    if not context.store.create(context.layout.run, frozen.model_dump_json().encode()):
        for name, digest in inputs.items():
            _check_frozen(context, name, digest, Reason.STORE_CORRUPT)


def _file(context: Context, name: str, uri: str, kind: Kind) -> Fetched:
    path = resolve(uri, context.work.spec.store, context.scratch, kind)
    digest = file_digest(path)
    _check_frozen(context, name, digest, kind.not_found)
    return Fetched(path, digest)


def _model(context: Context, name: str, uri: str, kind: Kind) -> Fetched:
    folder = resolve(uri, context.work.spec.store, context.scratch, kind, _token(kind))
    digest = model_digest(folder)
    _check_frozen(context, name, digest, Reason.MODEL_UNUSABLE)
    return Fetched(folder, digest)


def _token(kind: Kind) -> str | None:
    name = {GENERATOR: GENERATOR_HUB_TOKEN, WEAKER: WEAKER_HUB_TOKEN}.get(kind, HUB_TOKEN)
    return os.environ.get(name) or os.environ.get(HUB_TOKEN)


def _check_frozen(context: Context, name: str, digest: str, reason: Reason) -> None:
    """An input that changes under a run would mix two experiments in one result."""
    try:
        frozen = Frozen.model_validate_json(context.store.read(context.layout.run))
    except ObjectNotFound:
        return  # the first step checks its inputs before it freezes them
    if frozen.inputs.get(name, digest) != digest:
        message = f"the {name} of this run is not what it was when the run began"
        raise UserError(reason, message, "put back what was there, or start a new run")
