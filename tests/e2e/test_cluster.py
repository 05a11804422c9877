"""The whole platform on a real node: chart, operator, vLLM pods, DeepSpeed in two pods, S3 in the cluster, the micro model.

One run is left in peace; another one loses its operator, a judge pod and a train pod on the way. Both must come to the
same datasets, which are also those of `selftrain local`.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from trial.cluster import Cluster, embedded, loaded_images, why_not
from trial.follow import ended, follow, read, store_of
from trial.install import BUCKET, SYSTEM, install, placed, reachable_store, upload

from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.names import LABEL_RUN, LABEL_STAGE, Layout
from selftrain.api.records import Manifest
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.steps import steps
from selftrain.storage.commit import read_manifest

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.timeout(2400)]

MICRO = Path(__file__).parents[1] / "fixtures" / "micro"
NAMESPACE = "selftrain-e2e"
DATASETS = (Step(1, Stage.GENERATE), Step(1, Stage.JUDGE), Step(1, Stage.SELECT))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    reason = why_not()
    if reason and os.environ.get("CI") != "true":
        pytest.skip(reason)
    assert reason is None, reason
    made = embedded()
    install(made, loaded_images(), NAMESPACE)
    made.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", "--all", "--wait")
    yield made
    made.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", "--all", "--wait=false")


@pytest.fixture(scope="module")
def endpoint(cluster: Cluster) -> Iterator[str]:
    with reachable_store(cluster) as address:
        upload(address, MICRO / "model", "inputs/micro/model")
        for name in ("instructions.jsonl", "benchmark.jsonl"):
            upload(address, MICRO / name, f"inputs/micro/{name}")
        yield address


def body(name: str, **changes: Any) -> dict[str, Any]:
    """The micro run on the cluster. Two train pods share two cores, so each is told that it has one."""
    run = yaml.safe_load((MICRO / "run.yaml").read_text().replace("file://MICRO", f"s3://{BUCKET}/inputs/micro"))
    run["metadata"]["name"] = name
    run["spec"]["train"] |= {"nodes": 2, "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}}
    run["spec"] |= changes
    return placed(run, NAMESPACE)


def manifests(run: SelfTrainRun, endpoint: str) -> dict[Step, Manifest]:
    store, layout = store_of(run, endpoint), Layout(NAMESPACE, run.metadata.name, run.metadata.uid)
    found = {step: read_manifest(store, layout, step) for step in steps(run.spec)}
    return {step: manifest for step, manifest in found.items() if manifest is not None}


def digests(found: dict[Step, Manifest]) -> dict[Step, list[str]]:
    return {step: [part.sha256 for part in found[step].parts] for step in DATASETS}


def shard_markers(run: SelfTrainRun, endpoint: str) -> dict[str, bytes]:
    """Markers of the judge stage by key."""
    store, layout = store_of(run, endpoint), Layout(NAMESPACE, run.metadata.name, run.metadata.uid)
    return {info.key: store.read(info.key) for info in store.list(layout.shards(DATASETS[1])) if info.key.endswith(".json")}


def delete_pods(cluster: Cluster, stage: Stage) -> None:
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", "-l", f"{LABEL_RUN}=disturbed,{LABEL_STAGE}={stage}", "--wait=false")


def why(cluster: Cluster) -> str:
    """What the cluster says, for a failed assertion."""
    pods = cluster.kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide")
    operator = cluster.kubectl("-n", SYSTEM, "logs", "deploy/selftrain-controller", "--tail=30")
    return f"{pods}\n{operator}"


def condition(run: SelfTrainRun, kind: ConditionType) -> Any:
    return next(c for c in run.status.conditions if c.type is kind)


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, endpoint: str) -> SelfTrainRun:
    cluster.apply(body("undisturbed"))
    run = follow(cluster, NAMESPACE, "undisturbed", endpoint, print)
    assert condition(run, ConditionType.SUCCEEDED).status == "True", f"{run.status}\n{why(cluster)}"
    return run


def test_one_manifest_gives_a_judge(cluster: Cluster, undisturbed: SelfTrainRun, endpoint: str) -> None:
    found = manifests(undisturbed, endpoint)
    assert set(found) == set(steps(undisturbed.spec))
    assert undisturbed.status.progress == "1/1"
    assert undisturbed.status.score is not None
    line = cluster.kubectl("-n", NAMESPACE, "get", "strun", "undisturbed", "--no-headers")
    assert "Completed" in line
    assert "1/1" in line


def test_logs_show_the_real_engines_and_two_ranks(cluster: Cluster, undisturbed: SelfTrainRun) -> None:
    def log(stage: Stage) -> str:
        selector = f"{LABEL_RUN}={undisturbed.metadata.name},{LABEL_STAGE}={stage}"
        return cluster.kubectl("-n", NAMESPACE, "logs", "-l", selector, "--tail=-1", "--prefix")

    assert "vllm" in log(Stage.JUDGE).lower()
    ranks = re.findall(r"\[pod/(\S+)/worker\].* rank (\d) of 2 on \S+: DeepSpeed", log(Stage.TRAIN))
    assert {rank for _, rank in ranks} == {"0", "1"}
    assert len({pod for pod, _ in ranks}) == 2


def test_datasets_are_those_of_a_local_run(undisturbed: SelfTrainRun, endpoint: str, tmp_path: Path) -> None:
    manifest = tmp_path / "run.yaml"
    manifest.write_text((MICRO / "run.yaml").read_text().replace("MICRO", str(MICRO)))
    command = [
        sys.executable,
        "-m",
        "selftrain.cli",
        "local",
        str(manifest),
        "--store",
        f"file://{tmp_path}/store",
        "--work",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    root = tmp_path / "store" / Layout("default", "micro", "local").root
    local = {step: Manifest.model_validate_json((root / f"iteration-001/{step.stage}/manifest.json").read_bytes()) for step in DATASETS}
    assert digests(local) == digests(manifests(undisturbed, endpoint))


def test_pods_may_be_deleted_at_any_time(cluster: Cluster, undisturbed: SelfTrainRun, endpoint: str) -> None:
    cluster.apply(body("disturbed"))
    hit: set[Stage] = set()
    markers: dict[str, bytes] = {}
    deadline = time.monotonic() + 1500
    run = read(cluster, NAMESPACE, "disturbed")
    while not ended(run) and time.monotonic() < deadline:
        stage = run.status.stage
        if stage is Stage.JUDGE and stage not in hit:
            markers = shard_markers(run, endpoint)
            if markers:  # some shards are there, so that they can be seen not to be done again
                cluster.kubectl("-n", SYSTEM, "delete", "pod", "-l", "app.kubernetes.io/component=controller", "--wait=false")
                delete_pods(cluster, stage)
                hit.add(stage)
        elif stage is Stage.TRAIN and stage not in hit:
            delete_pods(cluster, stage)
            hit.add(stage)
        time.sleep(0.3)
        run = read(cluster, NAMESPACE, "disturbed")
    assert condition(run, ConditionType.SUCCEEDED).status == "True", f"{run.status}\n{why(cluster)}"
    assert hit == {Stage.JUDGE, Stage.TRAIN}
    store = store_of(run, endpoint)
    assert len(markers) < run.spec.judge.shards
    assert all(store.read(key) == marker for key, marker in markers.items())
    assert digests(manifests(run, endpoint)) == digests(manifests(undisturbed, endpoint))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instructions": {"uri": f"s3://{BUCKET}/inputs/micro/instructions.jsonl", "textField": "question"}}, Reason.INSTRUCTIONS_INVALID),
        ({"model": {"uri": f"s3://{BUCKET}/inputs/nothing"}}, Reason.MODEL_NOT_FOUND),
    ],
)
def test_an_authors_error_stalls_the_run_with_advice(cluster: Cluster, endpoint: str, changes: dict[str, Any], reason: Reason) -> None:
    name = f"bad-{reason.lower()}"
    cluster.apply(body(name, **changes))
    run = follow(cluster, NAMESPACE, name, endpoint, print)
    stalled = condition(run, ConditionType.STALLED)
    assert (stalled.status, stalled.reason) == ("True", reason)
    assert len(cluster.get("-n", NAMESPACE, "jobs", "-l", f"{LABEL_RUN}={name}")["items"]) == 1
