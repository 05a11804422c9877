"""Jobs and pods as the API server shows them, and what the planner gets to know."""

from datetime import UTC, datetime
from typing import Any

import pytest

from helpers.cluster import failed_pod, finish, pending_pod
from selftrain.api.conditions import Reason
from selftrain.api.errors import ExitCode
from selftrain.api.records import Termination
from selftrain.api.stages import Stage, Step
from selftrain.kube.observe import needs_pods, view_of
from selftrain.planning.observed import Blame, JobState


def a_job(stage: Stage = Stage.JUDGE, parallelism: int = 1, **status: Any) -> dict[str, Any]:
    labels = {"selftrain.dev/iteration": "2", "selftrain.dev/stage": str(stage), "selftrain.dev/attempt": "3"}
    meta = {"name": "judge-i2-judge-a3", "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": meta, "spec": {"parallelism": parallelism}, "status": status}


def test_labels_say_what_a_job_is() -> None:
    view = view_of(a_job(), [])
    assert (view.step, view.attempt, view.deleting) == (Step(2, Stage.JUDGE), 3, None)


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (a_job(), JobState.PENDING),
        (a_job(active=2, ready=0), JobState.PENDING),
        (a_job(parallelism=4, active=4, ready=1), JobState.RUNNING),
        (a_job(parallelism=4, active=1, ready=0, succeeded=3), JobState.PENDING),
        (a_job(parallelism=4, active=1, ready=1, succeeded=3), JobState.RUNNING),
        (a_job(parallelism=4, ready=0, succeeded=4), JobState.RUNNING),
        (a_job(Stage.TRAIN, parallelism=2, active=2, ready=1), JobState.PENDING),
        (a_job(Stage.TRAIN, parallelism=2, active=2, ready=2), JobState.RUNNING),
        (a_job(conditions=[{"type": "Suspended", "status": "True"}]), JobState.PENDING),
    ],
)
def test_states(job: dict[str, Any], state: JobState) -> None:
    assert view_of(job, []).state is state


def test_a_finished_job() -> None:
    job = a_job()
    finish(job)
    view = view_of(job, [])
    assert view.state is JobState.SUCCEEDED
    assert view.finished is not None
    assert not needs_pods(job)


def failure(pods: list[dict[str, Any]], reason: str = "PodFailurePolicy") -> Any:
    job = a_job()
    finish(job, "Failed", reason)
    assert needs_pods(job)
    return view_of(job, pods).failure


def words(kind: str, reason: Reason, message: str) -> str:
    return Termination(kind=kind, reason=reason, message=message).model_dump_json()


def test_the_author_is_blamed_by_the_pods_own_words_even_if_another_pod_failed_later() -> None:
    user = failed_pod("a", words("user", Reason.INSTRUCTIONS_INVALID, "no field 'x'"), code=10)
    later = failed_pod("b", words("platform", Reason.ENGINE_FAILED, "killed"), ended="2026-01-01T01:00:00Z")
    found = failure([later, user])
    assert (found.blame, found.reason, found.message) == (Blame.USER, Reason.INSTRUCTIONS_INVALID, "no field 'x'")


def test_the_last_pods_words_count() -> None:
    first = failed_pod("a", words("platform", Reason.STORE_UNAVAILABLE, "first"))
    last = failed_pod("b", words("platform", Reason.ENGINE_FAILED, "last"), ended="2026-01-02T00:00:00Z")
    assert failure([last, first]).message == "last"


def test_running_out_of_memory_is_told_apart() -> None:
    found = failure([failed_pod("a", reason="OOMKilled", code=137)])
    assert (found.blame, found.reason) == (Blame.PLATFORM, Reason.OUT_OF_MEMORY)
    assert "memory" in found.message


def test_a_pod_without_words() -> None:
    found = failure([failed_pod("a", "not json", code=1)])
    assert found.reason is Reason.STAGE_FAILED
    assert "exit code 1" in found.message


def test_what_a_mistaken_author_did_is_told_by_the_exit_code_if_words_are_lost() -> None:
    assert failure([failed_pod("a", "not json", code=ExitCode.USER)]).blame is Blame.USER


def test_an_evicted_pod_has_no_container_to_ask() -> None:
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    pod = {"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status}
    assert failure([pod]).message == "pod a was ended by its node (Evicted: The node was low on resource: memory.)"


@pytest.mark.parametrize(("kind", "told"), [("drained", "Evicted"), ("user", "no field 'x'")])
def test_an_evicted_pod_was_not_asked_to_stop_for_its_own_sake(kind: str, told: str) -> None:
    pod = failed_pod("a", words(kind, Reason.DRAINED, "no field 'x'"))
    pod["status"]["reason"] = "Evicted"
    assert told in failure([pod]).message


def test_a_deadline_is_for_the_author_to_raise() -> None:
    found = failure([], "DeadlineExceeded")
    assert (found.blame, found.reason) == (Blame.USER, Reason.STAGE_DEADLINE_EXCEEDED)
    assert "deadlines.stageSeconds" in found.message


def test_a_failed_job_whose_pods_are_gone() -> None:
    assert failure([], "BackoffLimitExceeded").reason is Reason.STAGE_FAILED


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_pulling_and_backing_off_are_one_reason_so_that_the_status_does_not_flap(reason: str) -> None:
    pod = pending_pod({"reason": reason, "message": "Back-off 20s"})
    assert view_of(a_job(active=1), [pod]).waiting == "image example.org/train:1 cannot be pulled"


def test_an_unschedulable_pod() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: 1 Insufficient cpu."}
    assert view_of(a_job(active=1), [pending_pod(condition=condition)]).waiting == "Unschedulable: 0/1 nodes: 1 Insufficient cpu."


def test_a_missing_secret_is_named() -> None:
    pod = pending_pod({"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'})
    assert view_of(a_job(active=1), [pod]).waiting == 'CreateContainerConfigError: secret "keys" not found'


def test_starting_is_no_reason() -> None:
    assert view_of(a_job(active=1), [pending_pod({"reason": "ContainerCreating"})]).waiting == ""


def test_a_pod_that_failed_before_is_the_news_while_its_successor_waits() -> None:
    said = words("platform", Reason.STORE_UNAVAILABLE, "no answer")
    assert view_of(a_job(active=1), [failed_pod("a", said), pending_pod()]).waiting == "the last pod failed: no answer"


def test_no_pod_at_all_points_to_the_events() -> None:
    assert "events of job judge-i2-judge-a3" in view_of(a_job(), []).waiting


def test_a_replacement_waits_from_when_it_was_made() -> None:
    view = view_of(a_job(active=1), [pending_pod(created="2026-01-03T00:00:00Z")])
    assert view.created.day == 3


LATER = "2026-01-03T00:00:00Z"


@pytest.mark.parametrize(
    "pod",
    [
        {
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": LATER},
            "status": {"phase": "Running"},
        },
        failed_pod("a", ended=LATER),
        {
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": LATER}}}]},
        },
    ],
    ids=["being evicted", "just failed", "running, not yet counted as ready"],
)
def test_a_job_that_has_run_for_long_does_not_wait_since_it_was_made(pod: dict[str, Any]) -> None:
    assert view_of(a_job(active=1), [pod]).created.day == 3


def test_a_job_waits_since_its_queue_took_it_up_again() -> None:
    condition = {"type": "Suspended", "status": "True", "lastTransitionTime": LATER}
    assert view_of(a_job(conditions=[condition]), []).created.day == 3


def test_a_job_tells_the_deadline_that_it_has() -> None:
    job = a_job()
    job["spec"]["activeDeadlineSeconds"] = 600
    assert (view_of(job, []).allowed_seconds, view_of(a_job(), []).allowed_seconds) == (600, None)


def test_a_job_being_deleted() -> None:
    job = a_job(active=1, ready=1)
    job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert view_of(job, []).deleting == datetime(2026, 1, 1, tzinfo=UTC)
