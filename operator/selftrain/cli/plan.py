"""selftrain plan: the manifest with every default and the recipe's choices written out."""

from pathlib import Path

import yaml

from selftrain.api.v1alpha1 import Negative, SelfTrainRun
from selftrain.local.command import read_run


def plan(manifest: Path) -> str:
    """YAML of the run as it would be carried out. Planning it again gives the same."""
    filled = fill(read_run(manifest, None))
    metadata = filled.metadata.model_dump(mode="json", include={"name", "namespace"})
    spec = filled.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    body = {"apiVersion": filled.api_version, "kind": filled.kind, "metadata": metadata, "spec": spec}
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=140)
    return text


def fill(run: SelfTrainRun) -> SelfTrainRun:
    """The run with what its recipe chooses as fields of its own."""
    recipe = run.spec.resolved
    negatives = [Negative(kind=kind, weight=weight) for kind, weight in recipe.negatives.items()]
    generate = run.spec.generate.model_copy(update={"answers": recipe.answers, "negatives": negatives})
    select = run.spec.select.model_copy(update={"minimum_pass_rate": recipe.minimum_pass_rate, "require_mirror": recipe.require_mirror})
    return run.model_copy(update={"spec": run.spec.model_copy(update={"generate": generate, "select": select})})
