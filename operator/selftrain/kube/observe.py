"""From Jobs and pods as the API server shows them to what the planner wants to know. Pure.

A Job's own status says whether it is waiting, running or over; its pods are looked at only for the reasons.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import ExitCode
from selftrain.api.names import LABEL_ATTEMPT, LABEL_ITERATION, LABEL_STAGE
from selftrain.api.records import Termination
from selftrain.api.stages import Stage, Step
from selftrain.planning.observed import Blame, Failure, JobState, JobView

Object = Mapping[str, Any]

OUT_OF_MEMORY_ADVICE = "raise the stage's memory in resources.limits, or lower its batch settings"
PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
STARTING_REASONS = frozenset({"", "ContainerCreating", "PodInitializing"})
MESSAGE_LIMIT = 1000


def needs_pods(job: Object) -> bool:
    """Whether a look at the Job's pods can tell more: why it failed, or why nothing runs yet."""
    return state_of(job) in (JobState.FAILED, JobState.PENDING)


def view_of(job: Object, pods: Iterable[Object]) -> JobView:
    """One attempt of one step."""
    meta, pods, state = job["metadata"], list(pods), state_of(job)
    marks = meta["labels"]
    return JobView(
        name=meta["name"],
        step=Step(int(marks[LABEL_ITERATION]), Stage(marks[LABEL_STAGE])),
        attempt=int(marks[LABEL_ATTEMPT]),
        state=state,
        created=_pending_since(job, pods) if state is JobState.PENDING else _time(meta["creationTimestamp"]),
        finished=_finished(job),
        failure=failure_of(job, pods) if state is JobState.FAILED else None,
        waiting=waiting_of(job, pods) if state is JobState.PENDING else "",
        deleting=_time(meta["deletionTimestamp"]) if "deletionTimestamp" in meta else None,
        allowed_seconds=job["spec"].get("activeDeadlineSeconds"),
    )


def state_of(job: Object) -> JobState:
    """Training runs when all of its pods do; of other stages one is enough, since none waits for another."""
    if _condition(job, "Complete"):
        return JobState.SUCCEEDED
    if _condition(job, "Failed"):
        return JobState.FAILED
    status = job.get("status", {})
    ready, pods = status.get("ready", 0), job["spec"].get("parallelism", 1)
    together = job["metadata"]["labels"][LABEL_STAGE] == Stage.TRAIN
    enough = ready + status.get("succeeded", 0) >= pods or (ready and not together)
    return JobState.RUNNING if enough else JobState.PENDING


def failure_of(job: Object, pods: Iterable[Object]) -> Failure:
    """Why a Job failed: its author's mistake where a pod named one, else the last pod's own words, else the Job's."""
    name = job["metadata"]["name"]
    condition = _condition(job, "Failed") or {}
    if condition.get("reason") == "DeadlineExceeded":
        message = f"job {name} took longer than deadlines.stageSeconds; raise it to go on where it stopped"
        return Failure(Blame.USER, Reason.STAGE_DEADLINE_EXCEEDED, message)
    failures = [failure for pod in sorted(pods, key=_ended) if (failure := _pod_failure(pod)) is not None]
    blamed = [failure for failure in failures if failure.blame is Blame.USER]
    if blamed or failures:
        return (blamed or failures)[-1]
    words = condition.get("message", "")
    return Failure(Blame.PLATFORM, Reason.STAGE_FAILED, f"job {name} failed without a pod that says why: {words}"[:MESSAGE_LIMIT])


def waiting_of(job: Object, pods: Iterable[Object]) -> str:
    """Why nothing runs yet. The words must not change while the cause does not, or each look would be a status write."""
    pods = sorted(pods, key=_ended)
    reasons = [reason for pod in pods if pod.get("status", {}).get("phase") == "Pending" for reason in _pod_waiting(pod)]
    if reasons:
        return reasons[0][:MESSAGE_LIMIT]
    failures = [failure for pod in pods if (failure := _pod_failure(pod)) is not None]
    if failures:
        return f"the last pod failed: {failures[-1].message}"[:MESSAGE_LIMIT]
    if not pods and not job.get("status", {}).get("active"):
        return f"no pod has been made; see the events of job {job['metadata']['name']} (quota, admission)"
    return ""


def _pod_failure(pod: Object) -> Failure | None:
    status, ended, name = pod.get("status", {}), _terminated(pod), pod["metadata"]["name"]
    if status.get("phase") != "Failed":
        return None
    if ended.get("reason") == "OOMKilled":
        message = f"pod {name} ran out of memory; {OUT_OF_MEMORY_ADVICE}"
        return Failure(Blame.PLATFORM, Reason.OUT_OF_MEMORY, message)
    said = _last_words(ended)
    if said is not None and (said.kind == "user" or "reason" not in status):
        return Failure.told(said)
    if "reason" in status:
        why = f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
        return Failure(Blame.PLATFORM, Reason.STAGE_FAILED, f"pod {name} was ended by its node ({why})"[:MESSAGE_LIMIT])
    code = f" with exit code {ended['exitCode']}" if "exitCode" in ended else ""
    message = f"pod {name} ended{code} ({ended.get('reason', 'no reason given')}); read its log"
    return Failure(Blame.USER if ended.get("exitCode") == ExitCode.USER else Blame.PLATFORM, Reason.STAGE_FAILED, message)


def _last_words(ended: Object) -> Termination | None:
    try:
        return Termination.model_validate_json(ended.get("message", ""))
    except ValidationError:
        return None


def _pod_waiting(pod: Object) -> list[str]:
    """Reasons of one pending pod, the most telling first."""
    status = pod.get("status", {})
    containers = [c.get("state", {}).get("waiting", {}) | {"image": c.get("image")} for c in status.get("containerStatuses", ())]
    pulls = [f"image {w['image']} cannot be pulled" for w in containers if w.get("reason") in PULL_REASONS]
    others = [
        f"{w['reason']}: {w.get('message', '')}".rstrip(": ")
        for w in containers
        if w.get("reason", "") not in PULL_REASONS | STARTING_REASONS
    ]
    conditions = [
        f"{c['reason']}: {c.get('message', '')}".rstrip(": ")
        for c in status.get("conditions", ())
        if c["type"] == "PodScheduled" and c["status"] == "False" and c.get("reason")
    ]
    return pulls + others + conditions


def _pending_since(job: Object, pods: list[Object]) -> datetime:
    """When anything last happened to a Job without pods that run, however old it is.

    A pod was made, began or ended, is to be gone by then, or the Job was suspended or taken up again, as by a queue.
    """
    conditions = job.get("status", {}).get("conditions", ())
    queued = [c["lastTransitionTime"] for c in conditions if c["type"] == "Suspended" and "lastTransitionTime" in c]
    happened = [job["metadata"]["creationTimestamp"], *queued, *(moment for pod in pods for moment in _moments(pod))]
    return max(map(_time, happened))


def _moments(pod: Object) -> Iterator[str]:
    meta, status = pod["metadata"], pod.get("status", {})
    if status.get("phase") == "Pending":
        yield meta["creationTimestamp"]
    if "deletionTimestamp" in meta:
        yield meta["deletionTimestamp"]
    states = [container.get("state", {}) for container in status.get("containerStatuses", ())]
    found = [state.get("running", {}).get("startedAt") or state.get("terminated", {}).get("finishedAt") for state in states]
    yield from (moment for moment in found if moment)


def _finished(job: Object) -> datetime | None:
    condition = _condition(job, "Complete") or _condition(job, "Failed")
    return _time(condition["lastTransitionTime"]) if condition else None


def _condition(job: Object, kind: str) -> Object | None:
    conditions = job.get("status", {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _terminated(pod: Object) -> Object:
    """How the pod's container ended, or nothing if it never began."""
    containers = pod.get("status", {}).get("containerStatuses", ())
    ended: Object = next((c["state"]["terminated"] for c in containers if "terminated" in c.get("state", {})), {})
    return ended


def _ended(pod: Object) -> str:
    """Sorts pods by when they ended; Kubernetes times sort as text."""
    moment: str = _terminated(pod).get("finishedAt") or pod["metadata"]["creationTimestamp"]
    return moment


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
