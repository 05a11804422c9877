"""The whole platform on a real node: chart, operator, vLLM pods, DeepSpeed in two pods, S3 in the cluster, the micro model.

One run is left in peace; another one loses its operator, a judge pod and a train pod on the way. Both must come to the
same datasets, which are also those of `selftrain local`.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trial.cluster import Cluster
from trial.follow import follow, read, store_of
from trial.install import SYSTEM

from helpers.fixtures import MICRO
from helpers.micro import NAMESPACE, body, condition, why
from selftrain.api.conditions import ConditionType
from selftrain.api.names import LABEL_RUN, LABEL_STAGE, Layout
from selftrain.api.records import Manifest
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.steps import steps
from selftrain.storage.commit import read_manifest

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.timeout(2400)]

DATASETS = (Step(1, Stage.GENERATE), Step(1, Stage.JUDGE), Step(1, Stage.SELECT))


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
    while not run.status.ended and time.monotonic() < deadline:
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
