"""Every mistake an author can make, on the real cluster: the run stalls, says what is wrong and what to do, and is not tried again.

All runs are applied at once, so that the operator has them all on its hands; it must not be restarted by any of them.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from trial.cluster import Cluster, ClusterError
from trial.follow import follow, read, store_of
from trial.install import BUCKET, SYSTEM, upload

from helpers.fixtures import MICRO, MODEL
from helpers.micro import NAMESPACE, body, condition, why
from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.names import LABEL_RUN, Layout
from selftrain.api.records import Drop
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.storage.commit import read_manifest

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.timeout(2400)]

LINE_OF_A_MEGABYTE = "why " * 262_144
BAD = "inputs/bad"
JUDGED = (Step(1, Stage.GENERATE), Step(1, Stage.JUDGE))


@dataclass(frozen=True)
class Mistake:
    """A run that cannot succeed, why, and what its message must name.

    All `done` before it stays. `jobs` are left behind: one a finished step and the one that failed, unless the mistake
    is found before a Job is made, or the Job was stopped.
    """

    changes: dict[str, Any]
    reason: Reason
    words: str
    done: tuple[Step, ...] = ()
    jobs: int = 1
    store: dict[str, Any] = field(default_factory=dict)


def instructions(name: str, **more: Any) -> dict[str, Any]:
    return {"instructions": {"uri": f"s3://{BUCKET}/{BAD}/{name}.jsonl", **more}}


def model(where: str) -> dict[str, Any]:
    return {"model": {"uri": f"s3://{BUCKET}/{where}"}}


def judged(**settings: Any) -> dict[str, Any]:
    """The micro run with other settings for judging, on few instructions and without a benchmark."""
    spec = body("any")["spec"]
    return {"evaluate": {}, "instructions": {**spec["instructions"], "limit": 4}, "judge": {**spec["judge"], **settings}}


MISTAKES = {
    "no-model": Mistake(model("inputs/nothing"), Reason.MODEL_NOT_FOUND, "inputs/nothing"),
    "no-chat-template": Mistake(model(f"{BAD}/mute"), Reason.MODEL_UNUSABLE, "chat template"),
    "short-context": Mistake({"judge": {"maxModelLength": 65536}}, Reason.MODEL_UNUSABLE, "65536"),
    "pickled-model": Mistake(model(f"{BAD}/pickled"), Reason.MODEL_UNSAFE, "safetensors"),
    "no-bucket": Mistake({}, Reason.STORE_NOT_FOUND, "nowhere", jobs=0, store={"uri": "s3://nowhere/runs"}),
    "wrong-key": Mistake({}, Reason.STORE_ACCESS_DENIED, BUCKET, store={"credentials": {"secretName": "wrong-key"}}),
    "no-secret": Mistake(
        {"deadlines": {"pendingSeconds": 30}}, Reason.PENDING_DEADLINE_EXCEEDED, "no-such-secret", jobs=0,
        store={"credentials": {"secretName": "no-such-secret"}},
    ),
    "no-instructions": Mistake(instructions("nothing"), Reason.INSTRUCTIONS_NOT_FOUND, "nothing.jsonl"),
    "no-text-field": Mistake(instructions("twice", textField="question"), Reason.INSTRUCTIONS_INVALID, "question"),
    "empty": Mistake(instructions("empty"), Reason.INSTRUCTIONS_INVALID, "empty.jsonl"),
    "not-utf-8": Mistake(instructions("latin"), Reason.INSTRUCTIONS_INVALID, "UTF-8"),
    "no-benchmark": Mistake(
        {"evaluate": {"benchmarks": [{"name": "held-out", "uri": f"s3://{BUCKET}/{BAD}/nothing.jsonl"}]}},
        Reason.BENCHMARK_NOT_FOUND, "nothing.jsonl",
    ),
    "nothing-kept": Mistake(judged(temperature="0", samples=1), Reason.NOTHING_SELECTED, "judge.samples", JUDGED, jobs=3),
    "no-verdict": Mistake(judged(maxTokens=1), Reason.NO_VERDICTS, "maxTokens", JUDGED, jobs=3),
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """The runs at their ends, and how often each operator pod had been restarted before and after."""

    runs: dict[str, SelfTrainRun]
    restarts: tuple[dict[str, int], dict[str, int]]


def restarts(cluster: Cluster) -> dict[str, int]:
    pods = cluster.get("-n", SYSTEM, "pods", "-l", "app.kubernetes.io/component=controller")["items"]
    return {pod["metadata"]["name"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"]) for pod in pods}


def write_inputs(folder: Path) -> None:
    rows = [json.loads(line) for line in (MICRO / "instructions.jsonl").read_text().splitlines()][:6]
    twice = [*rows, *rows[:2], {"instruction": LINE_OF_A_MEGABYTE}]
    (folder / "twice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in twice))
    (folder / "empty.jsonl").write_text("")
    (folder / "latin.jsonl").write_bytes('{"instruction": "Wo liegt Köln?"}\n'.encode("latin-1"))
    for name in ("mute", "pickled"):
        shutil.copytree(MODEL, folder / name)
    (folder / "mute" / "chat_template.jinja").unlink()
    (folder / "pickled" / "model.safetensors").rename(folder / "pickled" / "pytorch_model.bin")


@pytest.fixture(scope="module")
def inputs(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bad")
    write_inputs(folder)
    upload(endpoint, folder, BAD)
    return endpoint


@pytest.fixture(scope="module")
def ended(cluster: Cluster, inputs: str) -> Iterator[Ended]:
    wrong = {"AWS_ACCESS_KEY_ID": "selftrain", "AWS_SECRET_ACCESS_KEY": "wrong"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong-key", "namespace": NAMESPACE}, "stringData": wrong}
    runs = [body(name, **mistake.changes) for name, mistake in MISTAKES.items()]
    for run, mistake in zip(runs, MISTAKES.values(), strict=True):
        run["spec"]["store"] = {**run["spec"]["store"], **mistake.store}
    before = restarts(cluster)
    cluster.apply(secret, *runs)
    found = {name: follow(cluster, NAMESPACE, name, inputs, print) for name in MISTAKES}
    yield Ended(found, (before, restarts(cluster)))
    cluster.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", *MISTAKES, "--wait=false")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_stalls_the_run_with_advice(cluster: Cluster, ended: Ended, inputs: str, name: str) -> None:
    mistake, run = MISTAKES[name], ended.runs[name]
    stalled = condition(run, ConditionType.STALLED)
    assert (stalled.status, stalled.reason) == ("True", mistake.reason), f"{stalled}\n{why(cluster)}"
    assert mistake.words in stalled.message
    assert "; " in stalled.message, "the message says what to do"
    jobs = cluster.get("-n", NAMESPACE, "jobs", "-l", f"{LABEL_RUN}={name}")["items"]
    assert len(jobs) == mistake.jobs
    store, layout = store_of(run, inputs), Layout(NAMESPACE, name, run.metadata.uid)
    assert all(read_manifest(store, layout, step) is not None for step in mistake.done)


def test_the_operator_survives_them_all(ended: Ended) -> None:
    before, after = ended.restarts
    assert after, "no operator pod is left"
    assert after.items() <= before.items(), f"replaced or restarted: {before} became {after}"


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"iteratons": 3}, "iteratons"),
        ({"judge": {"sampels": 3}}, "sampels"),
        ({"iterations": "two"}, "iterations"),
        ({"judge": {"samples": 0}}, "samples"),
        ({"train": {"zeroStage": 1, "offload": "parameters"}}, "offload"),
    ],
)
def test_a_wrong_field_is_refused_at_once(cluster: Cluster, block: dict[str, Any], words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        cluster.apply(body("refused", **block))


def test_duplicates_and_endless_lines_are_left_out_and_counted(cluster: Cluster, inputs: str) -> None:
    cluster.apply(body("twice", **instructions("twice"), evaluate={}))
    run, manifest, deadline = read(cluster, NAMESPACE, "twice"), None, time.monotonic() + 600
    while manifest is None and not run.status.ended and time.monotonic() < deadline:
        time.sleep(1)
        run = read(cluster, NAMESPACE, "twice")
        manifest = read_manifest(store_of(run, inputs), Layout(NAMESPACE, "twice", run.metadata.uid), Step(1, Stage.GENERATE))
    cluster.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", "twice", "--wait=false")
    assert manifest is not None, run.status
    assert manifest.counts["rows"] == 9
    assert (manifest.drops[Drop.DUPLICATE], manifest.drops[Drop.TOO_LONG]) == (2, 1)
