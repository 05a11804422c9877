"""selftrain local: read the manifest, run it to the end, print the table."""

import json
import sys
import time
from pathlib import Path

import yaml

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.load import run_of
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.local.loop import LocalRun
from selftrain.planning.summary import is_stalled
from selftrain.report.progress import progress
from selftrain.report.summary import summarize
from selftrain.report.table import table
from selftrain.storage.open import open_store


def local(manifest: Path, store_uri: str | None, work: Path, summary_path: Path | None) -> int:
    """Run `manifest` on this machine. Returns 0 when the run succeeded, 1 when it stalled."""
    run = read_run(manifest, store_uri)
    store = open_store(run.spec.store)
    begun = time.monotonic()

    def report(state: LocalRun) -> None:
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        print(f"[{minutes:02d}:{seconds:02d}] {progress(state.run, store, state.last_line)}", flush=True)

    run = LocalRun(run, store, work / run.metadata.name).to_the_end(report)
    summary = summarize(run, store, time.monotonic() - begun)
    print(table(summary))
    if summary_path is not None:
        summary_path.parent.mkdir(parents=True, exist_ok=True)
        summary_path.write_text(json.dumps(summary, indent=2) + "\n")
    stalled = is_stalled(run.status)
    if stalled is not None:
        print(f"selftrain: {stalled.reason}: {stalled.message}", file=sys.stderr)
    return 1 if stalled else 0


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
