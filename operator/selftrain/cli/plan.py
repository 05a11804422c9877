"""selftrain plan: the manifest with every default and the recipe's choices written out."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.recipes import PLACES
from selftrain.api.v1alpha1 import Negative, SelfTrainRun, Spec
from selftrain.local.manifest import read_run
from selftrain.method.estimate import GPUS, Assumptions, estimate

EXAMPLES = {"parameters": "70e9", "instructions": "20000", "labelled": "7000"}
"""How sizes are given."""


def plan(manifest: Path) -> str:
    """YAML of the run as it would be carried out. Planning it again gives the same."""
    filled = fill(read_run(manifest, None))
    metadata = filled.metadata.model_dump(mode="json", include={"name", "namespace"}, exclude_unset=True)
    spec = filled.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    body = {"apiVersion": filled.api_version, "kind": filled.kind, "metadata": metadata, "spec": spec}
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=140)
    return text


def estimated(manifest: Path, gpu: str, known: Mapping[str, float]) -> dict[str, Any]:
    """What the run will take, stage by stage, with what was assumed."""
    spec = read_run(manifest, None).spec
    sources = {"instructions": spec.instructions, "labelled": spec.labelled}
    limits = {name: source.limit for name, source in sources.items() if source}
    needed = ["parameters", *(name for name, limit in limits.items() if limit is None)]
    if missing := [name for name in needed if name not in known]:
        fix = f"give {' '.join(f'--assume {name}={EXAMPLES[name]}' for name in missing)}, or the limits of instructions and labelled"
        raise UserError(Reason.INVALID_SPEC, f"nobody knows from the manifest how many {' and '.join(missing)} there are", fix)
    counts = {name: float(limit) for name, limit in limits.items() if limit is not None}
    others = {name: number for name, number in known.items() if not name.startswith("held_out")}
    assumed = Assumptions(held_out=_sizes(spec, known), **{"instructions": 0.0, **counts, **others})
    stages = list(estimate(spec, assumed, GPUS[gpu]))
    total = {"gpu_hours": sum(stage.gpu_hours for stage in stages), "storage_bytes": sum(stage.storage_bytes for stage in stages)}
    return {"gpu": gpu, "assumed": asdict(assumed), "stages": [asdict(stage) for stage in stages], "total": total}


def _sizes(spec: Spec, known: Mapping[str, float]) -> dict[str, float]:
    """Items of each benchmark: its own number, or the one for all that have none of their own."""
    own = {entry.name: f"held_out.{entry.name}" for entry in spec.evaluate.benchmarks}
    unknown = sorted({name for name in known if "." in name} - set(own.values()))
    if unknown:
        message = f"{', '.join(unknown)} is about no benchmark of the run"
        raise UserError(Reason.INVALID_SPEC, message, f"those of one each are {', '.join(own.values()) or 'none'}")
    return {name: known.get(key, known.get("held_out", 0)) for name, key in own.items()}


def fill(run: SelfTrainRun) -> SelfTrainRun:
    """The run with what its recipe chooses as fields of its own."""
    spec, recipe = run.spec, run.spec.resolved
    choices = {name: getattr(recipe, name) for name in PLACES}
    choices["negatives"] = [Negative(kind=kind, weight=weight) for kind, weight in recipe.negatives.items()]
    filled = {
        block: getattr(spec, block).model_copy(update={name: choices[name] for name, place in PLACES.items() if place == block})
        for block in set(PLACES.values())
    }
    return run.model_copy(update={"spec": spec.model_copy(update=filled)})
