"""The commit protocol: data first, marker last, and a reader believes only what a marker or manifest lists.

    data of a shard        keyed by the hash of its content, so that racing attempts never overwrite each other
    marker of the shard    created if absent: from here on the shard is never done again
    manifest of the stage  created if absent: the commit point, naming every part with size and digest

If the process dies after any of these steps, the next attempt goes on from what is there. What is not listed is litter.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.names import Layout
from selftrain.api.records import Drop, Manifest, Part, Shard, Work
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import WHERE_NOT_WHAT
from selftrain.storage.digests import canonical_json, digest, file_digest
from selftrain.storage.protocol import ObjectNotFound, ObjectStore

RULES = {Stage.GENERATE: 3, Stage.JUDGE: 2, Stage.SELECT: 2, Stage.TRAIN: 3, Stage.EVALUATE: 3}
"""Counted up whenever a stage makes something else of the same inputs. Then what another version began is neither gone on with nor
adopted. Stages that are not here make what they always made."""
READERS = 8
"""Markers read at once; each is a round trip to the store and a few hundred bytes."""


def work_digest(work: Work, prompts: Mapping[str, str], inputs: Mapping[str, str]) -> str:
    """Digest of everything that decides what a stage writes. Runs that share it may adopt each other's data."""
    settings = getattr(work.spec, work.stage).model_dump(mode="json", exclude=set(WHERE_NOT_WHAT))
    recipe = asdict(work.spec.resolved)
    contrasts = recipe.pop("contrasts")
    if work.stage is Stage.SELECT:  # where they have stood since the first runs
        settings["contrasts"] = contrasts
    content = {
        "recipe": recipe,
        "seed": work.spec.seed,
        "iteration": work.iteration,
        "stage": work.stage,
        "settings": settings,
        "prompts": dict(prompts),
        "inputs": dict(inputs),
    }
    if work.stage in RULES:
        content |= {"rules": RULES[work.stage]}
    if work.stage is Stage.GENERATE:
        # Which rows of the files are used; where they lie does not matter, their digests are inputs.
        sources = {"instructions": work.spec.instructions, "labelled": work.spec.labelled}
        content |= {name: source.model_dump(mode="json", exclude={"uri", "share"}) for name, source in sources.items() if source}
    if work.stage is Stage.EVALUATE:
        content |= {"majority": work.spec.majority_in(work.iteration)}  # the last iteration may become an earlier one
    if work.stage is Stage.SELECT and work.spec.labelled and work.spec.labelled.share:
        content |= {"share": work.spec.labelled.share}
    return digest(canonical_json(content))


def write_shard(  # noqa: PLR0913 - one argument for each field of the marker
    store: ObjectStore,
    layout: Layout,
    step: Step,
    shard: int,
    data: Path | bytes,
    *,
    work: str,
    of: int,
    rows: int | None = None,
    counts: Mapping[str, int] | None = None,
    drops: Mapping[Drop, int] | None = None,
    tokens: int = 0,
    seconds: float = 0.0,
) -> Shard:
    """Store a finished shard. If another process was faster, its shard stands and is returned."""
    sha256, size = (digest(data), len(data)) if isinstance(data, bytes) else (file_digest(data), data.stat().st_size)
    part = Part(key=layout.shard_data(step, work, shard, sha256), sha256=sha256, bytes=size, rows=rows)
    marker = Shard(work=work, part=part, of=of, counts=dict(counts or {}), drops=dict(drops or {}), tokens=tokens, seconds=seconds)
    if isinstance(data, bytes):
        store.write(part.key, data)
    else:
        store.upload(data, part.key)
    key = layout.shard_marker(step, work, shard)
    return marker if store.create(key, canonical_json(marker.model_dump(mode="json"))) else _marker(store, key, work)


def committed_shards(store: ObjectStore, layout: Layout, step: Step, work: str) -> dict[int, Shard]:
    """Finished shards of a step's `work` by number."""
    keys = [info.key for info in store.list(layout.shards(step, work)) if info.key.endswith(".json")]
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        markers = pool.map(lambda key: _marker(store, key, work), keys)
        return {int(Path(key).stem): marker for key, marker in zip(keys, markers, strict=True)}


def commit(store: ObjectStore, layout: Layout, manifest: Manifest) -> bool:
    """Finish a stage. False if it was finished before from the same work, which is as good."""
    step = Step(manifest.iteration, manifest.stage)
    if store.create(layout.manifest(step), canonical_json(manifest.model_dump(mode="json"))):
        return True
    existing = read_manifest(store, layout, step)
    if existing is None or existing.work != manifest.work:
        raise _foreign(store, layout.manifest(step))
    return False


def read_manifest(store: ObjectStore, layout: Layout, step: Step) -> Manifest | None:
    """The manifest of a finished step; None while it is not finished."""
    key = layout.manifest(step)
    try:
        return Manifest.model_validate_json(store.read(key))
    except ObjectNotFound:
        return None
    except ValidationError as error:
        raise _unreadable(store, key, error) from error


def manifest_digest(store: ObjectStore, layout: Layout, step: Step) -> str:
    """Digest of a finished step's manifest as it is stored, which is how a later step names its input."""
    key = layout.manifest(step)
    try:
        return digest(store.read(key))
    except ObjectNotFound as error:
        message = f"{store.uri}/{key} is missing, though a later step needs it"
        raise _corrupt(message) from error


def fetch_part(store: ObjectStore, part: Part, path: Path) -> Path:
    """Download a part and check it. A file that differs is removed, so that nobody reads it by mistake."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        store.download(part.key, path)
    except ObjectNotFound as error:
        message = f"{store.uri}/{part.key} is listed but does not exist"
        raise _corrupt(message) from error
    size, sha256 = path.stat().st_size, file_digest(path)
    if (size, sha256) != (part.bytes, part.sha256):
        path.unlink()
        expected = f"{part.bytes} bytes with sha256 {part.sha256[:12]}"
        message = f"{store.uri}/{part.key} has {size} bytes with sha256 {sha256[:12]} instead of {expected}"
        raise _corrupt(message)
    return path


def _marker(store: ObjectStore, key: str, work: str) -> Shard:
    try:
        marker = Shard.model_validate_json(store.read(key))
    except ValidationError as error:
        raise _unreadable(store, key, error) from error
    if marker.work != work:
        raise _foreign(store, key)
    return marker


def _foreign(store: ObjectStore, key: str) -> PlatformError:
    return _corrupt(f"{store.uri}/{key} was made from other settings, prompts or inputs than this run has now, or by other rules")


def _unreadable(store: ObjectStore, key: str, error: ValidationError) -> PlatformError:
    return _corrupt(f"{store.uri}/{key} cannot be read ({error.error_count()} errors, first: {error.errors()[0]['msg']})")


def _corrupt(message: str) -> PlatformError:
    return PlatformError(Reason.STORE_CORRUPT, message, "restore the object as it was, or start a new run")
