"""The CRD on a real API server: what it accepts, what it refuses and how it says so, and what may change later."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.control_plane import ControlPlane
from helpers.fixtures import RUNS
from selftrain.api.load import run_of

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples"
ABLATIONS = [path for path in sorted(EXAMPLES.glob("ablations/*.yaml")) if path.name != "study.yaml"]
GOOD = [*sorted(RUNS.glob("good/*.yaml")), *sorted(EXAMPLES.glob("*/run*.yaml")), *ABLATIONS]
BAD = sorted(RUNS.glob("bad/*.yaml"))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_manifests_are_accepted_and_read_back_as_written(plane: ControlPlane, namespace: str, path: Path) -> None:
    plane.kubectl("create", "-n", namespace, "--validate=strict", "-f", str(path))
    written = run_of(yaml.safe_load(path.read_text()))
    assert run_of(plane.get(namespace, "selftrainrun", written.metadata.name)).spec == written.spec


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_manifests_are_refused_and_the_message_names_the_field(plane: ControlPlane, path: Path) -> None:
    refused = plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(path), check=False)
    assert refused.returncode != 0
    assert path.read_text().splitlines()[0].removeprefix("# message: ") in refused.stderr


@pytest.mark.parametrize("field", ["model", "store", "instructions", "weaker"])
def test_files_of_one_machine_are_refused(plane: ControlPlane, field: str) -> None:
    body = yaml.safe_load((RUNS / "good" / "weaker.yaml").read_text())
    body["spec"][field]["uri"] = "file:///data"
    refused = plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)
    assert f"{field}.uri: file:// is for selftrain local only" in refused.stderr


@pytest.fixture
def run(plane: ControlPlane, namespace: str) -> str:
    plane.kubectl("create", "-n", namespace, "-f", str(RUNS / "good" / "smallest.yaml"))
    return namespace


def patch(plane: ControlPlane, namespace: str, spec: dict[str, Any]) -> str:
    """Change the run; returns what the API server said against it."""
    change = json.dumps({"spec": spec})
    done = plane.kubectl("patch", "-n", namespace, "selftrainrun", "judge", "--type=merge", "-p", change, check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"seed": 7}, "spec.seed"),
        ({"model": {"uri": "s3://bucket/other"}}, "spec.model"),
        ({"model": {"tokenSecret": {"secretName": "x"}}}, "spec.model"),
        ({"generator": {"uri": "s3://bucket/other"}}, "spec.generator"),
        ({"store": {"endpoint": "http://elsewhere"}}, "spec.store"),
        ({"judge": {"samples": 3}}, "spec.judge.samples"),
        ({"train": {"learningRate": "0.1"}}, "spec.train.learningRate"),
        ({"evaluate": {"benchmarks": [{"name": "x", "uri": "s3://b/x"}]}}, "spec.evaluate.benchmarks"),
        ({"prompts": {"judge": {"user": "x"}}}, "spec.prompts"),
        ({"judge": {"slices": 2}}, "spec.judge.slices"),
        ({"judge": {"engineArguments": [{"name": "kv_cache_dtype", "value": "fp8"}]}}, "spec.judge.engineArguments"),
        ({"train": {"lora": {"rank": 8}}}, "spec.train.lora"),
        ({"generate": {"quantization": "fp8"}}, "spec.generate.quantization"),
        ({"iterations": 4}, "iterations may only grow"),
    ],
)
def test_what_defines_the_run_cannot_change(plane: ControlPlane, run: str, spec: dict[str, Any], named: str) -> None:
    assert named in patch(plane, run, spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"suspend": True},
        {"iterations": 6},
        {"deadlines": {"stageSeconds": 5, "runSeconds": 7}},
        {"retries": {"attempts": 9}},
        {"pods": {"resources": {"limits": {"memory": "64Gi"}}}},
        {"train": {"image": "x", "resources": {"limits": {"memory": "64Gi"}}, "nodeSelector": {"gpu": "h100"}}},
        {"train": {"microBatch": 2, "zeroStage": 2, "offload": "optimizer", "activationCheckpointing": False, "nodes": 2}},
        {"judge": {"parallelism": 4, "maxSequences": 16, "tensorParallelSize": 2}},
        {"ttlSecondsAfterFinished": 600},
        {"seed": 42, "judge": {"samples": 15}},
    ],
)
def test_what_steers_the_run_may_change(plane: ControlPlane, run: str, spec: dict[str, Any]) -> None:
    assert patch(plane, run, spec) == ""


def test_a_generator_cannot_be_taken_away(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("create", "-n", namespace, "-f", str(RUNS / "good" / "gpu-70b.yaml"))
    assert "spec.generator" in patch(plane, namespace, {"generator": None})


def test_kubectl_shows_where_a_run_stands(plane: ControlPlane, run: str) -> None:
    condition = {
        "type": "Progressing",
        "status": "True",
        "reason": "StageRunning",
        "message": "iteration 3, judge: running",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"conditions": [condition], "progress": "3/5", "stage": "judge", "score": "0.7512"}
    arguments = ("patch", "-n", run, "selftrainrun", "judge", "--subresource=status", "--type=merge")
    plane.kubectl(*arguments, "-p", json.dumps({"status": status}))
    header, line = plane.kubectl("get", "-n", run, "strun").stdout.splitlines()
    assert header.split() == ["NAME", "STATUS", "ITERATION", "STAGE", "SCORE", "AGE"]
    assert line.split()[:5] == ["judge", "StageRunning", "3/5", "judge", "0.7512"]
    assert "MESSAGE" in plane.kubectl("get", "-n", run, "strun", "-o", "wide").stdout


def test_a_status_cannot_be_written_with_the_spec_nor_without_bounds(plane: ControlPlane, run: str) -> None:
    patch(plane, run, {"suspend": True})
    assert "status" not in plane.get(run, "selftrainrun", "judge")
    arguments = ("patch", "-n", run, "selftrainrun", "judge", "--subresource=status", "--type=merge")
    refused = plane.kubectl(*arguments, "-p", json.dumps({"status": {"stage": "sleep"}}), check=False)
    assert "status.stage" in refused.stderr
