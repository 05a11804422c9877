"""Jobs: what each stage gets, and that a pod is as restricted as it can be."""

import json
from typing import Any

import pytest

from helpers.cluster import run_body
from selftrain.api.errors import UserError
from selftrain.api.load import run_of
from selftrain.api.names import GENERATOR_HUB_TOKEN, HUB_TOKEN, WEAKER_HUB_TOKEN
from selftrain.api.pods import PodSettings
from selftrain.api.records import Work
from selftrain.api.stages import Stage
from selftrain.kube.jobs import Defaults, objects_of
from selftrain.kube.pods import Images

DEFAULTS = Defaults(Images("controller:1", "generate:1", "train:1"), PodSettings())


def work_of(stage: Stage, **spec: Any) -> Work:
    run = run_of(run_body(**spec))
    return Work(run=run.metadata, iteration=1, stage=stage, attempt=2, spec=run.spec)


def job_of(stage: Stage, defaults: Defaults = DEFAULTS, **spec: Any) -> dict[str, Any]:
    return objects_of(work_of(stage, **spec), defaults)[1]


def pod_of(stage: Stage, defaults: Defaults = DEFAULTS, **spec: Any) -> dict[str, Any]:
    pod: dict[str, Any] = job_of(stage, defaults, **spec)["spec"]["template"]["spec"]
    return pod


def environment_of(pod: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") or entry["valueFrom"] for entry in pod["containers"][0]["env"]}


def expanded(text: str) -> str:
    """What Kubernetes makes of a value in which no variable is named."""
    return text.replace("$$", "$")


@pytest.mark.parametrize("stage", list(Stage))
def test_the_worker_gets_exactly_its_work_order(stage: Stage) -> None:
    prompt = {"user": "{{instruction}} $(HOME) $$ {{answer_a}} {{answer_b}}"}
    work = work_of(stage, prompts={"judge": prompt})
    pod = objects_of(work, DEFAULTS)[1]["spec"]["template"]["spec"]
    assert Work.model_validate_json(expanded(environment_of(pod)["SELFTRAIN_WORK"])) == work


def test_no_variable_reference_survives_in_a_template() -> None:
    order = environment_of(pod_of(Stage.JUDGE, prompts={"judge": {"user": "$(HOME)"}}))["SELFTRAIN_WORK"]
    assert "$$(HOME)" in order


@pytest.mark.parametrize("stage", list(Stage))
def test_pods_pass_the_restricted_level(stage: Stage) -> None:
    pod = pod_of(stage)
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert all(set(volume) - {"name"} <= {"emptyDir", "persistentVolumeClaim"} for volume in pod["volumes"])


def test_each_stage_runs_in_its_image() -> None:
    images = {stage: pod_of(stage)["containers"][0]["image"] for stage in Stage}
    assert images == {
        Stage.GENERATE: "generate:1",
        Stage.JUDGE: "generate:1",
        Stage.SELECT: "controller:1",
        Stage.TRAIN: "train:1",
        Stage.EVALUATE: "generate:1",
    }


def test_a_stopped_pod_has_two_minutes_or_what_its_stage_says() -> None:
    spec = {"train": {"terminationGracePeriodSeconds": 1800}}
    assert pod_of(Stage.TRAIN, **spec)["terminationGracePeriodSeconds"] == 1800
    assert pod_of(Stage.JUDGE, **spec)["terminationGracePeriodSeconds"] == 120


def test_settings_of_the_stage_win_over_those_of_the_run_over_those_of_the_chart() -> None:
    chart = Defaults(DEFAULTS.images, PodSettings(priority_class_name="chart", runtime_class_name="chart", image="chart"))
    pod = pod_of(Stage.TRAIN, chart, pods={"runtimeClassName": "run", "image": "run"}, train={"image": "stage"})
    assert pod["priorityClassName"] == "chart"
    assert pod["runtimeClassName"] == "run"
    assert pod["containers"][0]["image"] == "stage"


@pytest.mark.parametrize(
    ("stage", "spec", "count"),
    [
        (Stage.GENERATE, {"generate": {"parallelism": 3}}, 3),
        (Stage.JUDGE, {"judge": {"parallelism": 4}}, 4),
        (Stage.EVALUATE, {"evaluate": {"parallelism": 2}}, 2),
        (Stage.SELECT, {}, 1),
        (Stage.TRAIN, {"train": {"nodes": 5}}, 5),
    ],
)
def test_one_index_a_pod(stage: Stage, spec: dict[str, Any], count: int) -> None:
    job = job_of(stage, **spec)["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", count, count)


def test_sharded_stages_have_a_budget_for_each_index_and_training_one_for_all() -> None:
    judge, train = job_of(Stage.JUDGE, retries={"podFailures": 7}), job_of(Stage.TRAIN, retries={"podFailures": 7})
    assert judge["spec"]["backoffLimitPerIndex"] == 7
    assert "backoffLimit" not in judge["spec"]
    assert train["spec"]["backoffLimit"] == 7


def test_a_training_may_lose_pods_as_often_however_many_go_along() -> None:
    """Where one of three pods fails the other two fail too: with a budget of two, three losses are too many."""
    job = objects_of(work_of(Stage.TRAIN, train={"nodes": 3}, retries={"podFailures": 2}), DEFAULTS)[1]
    limit = job["spec"]["backoffLimit"]
    assert 2 * 3 <= limit < 3 * 3


def test_exit_codes_decide_what_a_failure_costs() -> None:
    rules = job_of(Stage.JUDGE)["spec"]["podFailurePolicy"]["rules"]
    assert [(rule["action"], rule.get("onExitCodes", {}).get("values")) for rule in rules] == [
        ("FailJob", [10]),
        ("Ignore", None),
        ("Ignore", [143]),
    ]


def test_limits_come_from_the_spec() -> None:
    job = job_of(Stage.JUDGE, deadlines={"stageSeconds": 77}, ttlSecondsAfterFinished=300)["spec"]
    assert (job["activeDeadlineSeconds"], job["ttlSecondsAfterFinished"]) == (77, 300)


def test_training_pods_meet_at_the_first_of_them() -> None:
    service, job = objects_of(work_of(Stage.TRAIN, train={"nodes": 2}), DEFAULTS)
    assert service is not None
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    template = job["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    address = environment_of(template["spec"])["SELFTRAIN_RENDEZVOUS"]
    assert address == f"{job['metadata']['name']}-0.{service['metadata']['name']}:29500"


def test_one_training_pod_needs_no_service() -> None:
    service, job = objects_of(work_of(Stage.TRAIN), DEFAULTS)
    assert service is None
    assert "SELFTRAIN_RENDEZVOUS" not in environment_of(job["spec"]["template"]["spec"])


def test_everything_belongs_to_the_run() -> None:
    service, job = objects_of(work_of(Stage.TRAIN, train={"nodes": 2}), DEFAULTS)
    for made in (service, job):
        assert made is not None
        [owner] = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("SelfTrainRun", "judge-0000-1111", True)


def test_credentials_are_references() -> None:
    store = {"uri": "s3://bucket/runs", "credentials": {"secretName": "keys"}}
    hub = {"uri": "hf://a/b@main", "tokenSecret": {"secretName": "hub", "key": "t"}}
    environment = environment_of(pod_of(Stage.JUDGE, store=store, model=hub))
    assert environment["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "keys", "key": "AWS_SECRET_ACCESS_KEY"}}
    assert GENERATOR_HUB_TOKEN not in environment
    assert environment[HUB_TOKEN] == {"secretKeyRef": {"name": "hub", "key": "t"}}
    assert "AWS_ACCESS_KEY_ID" not in environment_of(pod_of(Stage.JUDGE))


def test_each_model_has_its_own_token() -> None:
    hub = {"uri": "hf://a/b@main", "tokenSecret": {"secretName": "seed"}}
    generator = {"uri": "hf://c/d@main", "tokenSecret": {"secretName": "writer"}}
    weaker = {"uri": "hf://e/f@main", "tokenSecret": {"secretName": "old"}}
    generate = {"negatives": [{"kind": "weaker"}]}
    environment = environment_of(pod_of(Stage.EVALUATE, model=hub, generator=generator, weaker=weaker, generate=generate))
    names = [environment[name]["secretKeyRef"]["name"] for name in (HUB_TOKEN, GENERATOR_HUB_TOKEN, WEAKER_HUB_TOKEN)]
    assert names == ["seed", "writer", "old"]


def test_claims_are_mounted_once_and_read_only() -> None:
    pod = pod_of(
        Stage.JUDGE, model={"uri": "pvc://models/a"}, instructions={"uri": "pvc://models/i.jsonl"},
        evaluate={"benchmarks": [{"name": "b", "uri": "pvc://data/b.jsonl"}]},
        weaker={"uri": "pvc://checkpoints/old"}, generate={"negatives": [{"kind": "weaker"}]},
    )  # fmt: skip
    claims = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert claims == [{"claimName": name, "readOnly": True} for name in ("checkpoints", "data", "models")]
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["/mnt/pvc/models"]["readOnly"] is True


def test_caches_are_claims_or_scratch_space() -> None:
    caches = [{"name": "hub", "mountPath": "/hub", "claimName": "c"}, {"name": "k", "mountPath": "/k", "sizeLimit": "1Gi"}]
    volumes = {volume["name"]: volume for volume in pod_of(Stage.JUDGE, pods={"caches": caches, "scratchSize": "9Gi"})["volumes"]}
    assert volumes["cache-hub"]["persistentVolumeClaim"] == {"claimName": "c"}
    assert volumes["cache-k"]["emptyDir"] == {"sizeLimit": "1Gi"}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "9Gi"}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory"}


def test_placement_is_passed_through() -> None:
    pod = pod_of(
        Stage.TRAIN,
        pods={"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "imagePullSecrets": ["r"], "serviceAccountName": "s"},
        train={"resources": {"limits": {"nvidia.com/gpu": "8"}}},
    )
    assert pod["nodeSelector"] == {"a": "b"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["imagePullSecrets"] == [{"name": "r"}]
    assert pod["serviceAccountName"] == "s"
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "8"}


def test_a_work_order_that_no_process_could_be_given_is_refused() -> None:
    long = {"system": "界" * 16000, "user": "界" * 16000}
    with pytest.raises(UserError, match=r"spec\.prompts"):
        job_of(Stage.JUDGE, prompts={"judge": long, "answer": long})


def test_the_same_order_gives_the_same_job() -> None:
    assert json.dumps(job_of(Stage.TRAIN)) == json.dumps(job_of(Stage.TRAIN))
