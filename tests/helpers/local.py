"""selftrain local on the micro model, as tests start it and look at what it left."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from helpers.fixtures import MICRO
from selftrain.api.names import Layout
from selftrain.api.records import Manifest
from selftrain.api.stages import Step
from selftrain.local.manifest import read_run
from selftrain.planning.steps import steps
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store

LAYOUT = Layout("default", "micro", "local")


def manifest_file(folder: Path, **changes: Any) -> Path:
    """The micro run with its inputs on this machine. Six of its 24 instructions are held out."""
    body = yaml.safe_load((MICRO / "run.yaml").read_text().replace("MICRO", str(MICRO)))
    body["spec"]["instructions"]["validation"] = 6
    body["spec"].update(changes)
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def command(manifest: Path, folder: Path) -> list[str]:
    store, work, summary = f"file://{folder}/store", f"{folder}/work", f"{folder}/summary.json"
    return [sys.executable, "-m", "selftrain.cli", "local", str(manifest), "--store", store, "--work", work, "--summary", summary]


def run_local(manifest: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(manifest, folder), capture_output=True, text=True, check=False)


def manifests(manifest: Path, folder: Path) -> dict[Step, Manifest]:
    run = read_run(manifest, f"file://{folder}/store")
    store = open_store(run.spec.store)
    found = {step: read_manifest(store, LAYOUT, step) for step in steps(run.spec)}
    return {step: manifest for step, manifest in found.items() if manifest is not None}


def logs(folder: Path) -> str:
    return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(folder.glob("work/micro/*.log")))
