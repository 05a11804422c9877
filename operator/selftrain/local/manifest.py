"""Manifests as files. Needs none of what runs them, since `plan` reads them too."""

from pathlib import Path

import yaml

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.load import run_of
from selftrain.api.v1alpha1 import SelfTrainRun


def read_run(manifest: Path, store_uri: str | None) -> SelfTrainRun:
    """The run in a manifest file, with its store replaced if another one is given."""
    try:
        body = yaml.safe_load(manifest.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(Reason.INVALID_SPEC, f"cannot read {manifest}: {error}", "give a YAML manifest of one SelfTrainRun") from error
    if not isinstance(body, dict):
        raise UserError(Reason.INVALID_SPEC, f"{manifest} is not a manifest", "give a YAML manifest of one SelfTrainRun")
    if store_uri is not None:
        spec = body.setdefault("spec", {})
        spec["store"] = {**(spec.get("store") or {}), "uri": store_uri}
    return run_of(body)
