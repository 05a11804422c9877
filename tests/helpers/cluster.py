"""A cluster in memory: runs, Jobs and pods as plain objects, with what the API server adds. Jobs end when a test says so."""

from collections.abc import Mapping
from copy import deepcopy
from itertools import count
from typing import Any

from selftrain.kube.client import Conflict, Missing, Refused, owner_uid

Object = dict[str, Any]

CREATED = "2026-01-01T00:00:00Z"


def run_body(name: str = "judge", **spec: Any) -> Object:
    """A run as the API server would return it."""
    given = {
        "model": {"uri": "s3://bucket/model"},
        "store": {"uri": "s3://bucket/runs"},
        "instructions": {"uri": "s3://bucket/instructions.jsonl"},
        "iterations": 1,
        **spec,
    }
    meta = {
        "name": name,
        "namespace": "team",
        "uid": f"{name}-0000-1111",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": CREATED,
    }
    return {"apiVersion": "selftrain.dev/v1alpha1", "kind": "SelfTrainRun", "metadata": meta, "spec": given}


class MemoryCluster:
    """Implements `controller.reconcile.RunCluster`."""

    def __init__(self, *runs: Object) -> None:
        self.runs = {(run["metadata"]["namespace"], run["metadata"]["name"]): deepcopy(run) for run in runs}
        self.all_jobs: dict[str, Object] = {}
        self.all_pods: dict[str, list[Object]] = {}
        self.services: dict[str, Object] = {}
        self.writes: list[str] = []
        self._versions = count(2)

    async def run(self, namespace: str, name: str) -> Object | None:
        return deepcopy(self.runs.get((namespace, name)))

    async def jobs(self, namespace: str, run: str) -> list[Object]:
        return [deepcopy(job) for job in self.all_jobs.values() if job["metadata"]["labels"]["selftrain.dev/run"] == run]

    async def pods(self, namespace: str, job_uid: str) -> list[Object]:
        return deepcopy([pod for name, pods in self.all_pods.items() if self.all_jobs[name]["metadata"]["uid"] == job_uid for pod in pods])

    async def create_job(self, job: Mapping[str, Any]) -> None:
        name = job["metadata"]["name"]
        if name in self.all_jobs:
            if owner_uid(self.all_jobs[name]) != owner_uid(job):
                message = f"job {name} exists and does not belong to this run"
                raise Refused(message)
            return
        self.writes.append(f"create job {name}")
        made = deepcopy(dict(job))
        made["metadata"] |= {"uid": f"uid-of-{name}", "creationTimestamp": CREATED}
        self.all_jobs[name] = made

    async def apply_service(self, service: Mapping[str, Any]) -> None:
        self.writes.append(f"apply service {service['metadata']['name']}")
        self.services[service["metadata"]["name"]] = deepcopy(dict(service))

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        assert self.all_jobs[name]["metadata"]["uid"] == uid
        self.writes.append(f"delete job {name}")
        del self.all_jobs[name]

    async def replace_status(self, run: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        key = (run["metadata"]["namespace"], run["metadata"]["name"])
        if key not in self.runs:
            raise Missing
        stored = self.runs[key]
        if stored["metadata"]["resourceVersion"] != run["metadata"]["resourceVersion"]:
            raise Conflict
        stored["status"] = deepcopy(dict(status))
        self.change(stored)
        self.writes.append("status")

    def change(self, run: Object) -> None:
        """Give the run a new version, as any write does."""
        run["metadata"]["resourceVersion"] = str(next(self._versions))

    def condition(self, kind: str, name: str = "judge") -> Object:
        """A condition of a run."""
        conditions = self.runs["team", name]["status"]["conditions"]
        return next(condition for condition in conditions if condition["type"] == kind)


def finish(job: Object, kind: str = "Complete", reason: str = "") -> None:
    """End a Job as the Job controller would."""
    condition = {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": CREATED}
    job["status"] = {"conditions": [condition]}


def failed_pod(name: str, message: str = "", *, reason: str = "Error", code: int = 12, ended: str = CREATED) -> Object:
    """A pod that has failed, with its last words."""
    terminated = {"exitCode": code, "reason": reason, "message": message, "finishedAt": ended}
    status = {"phase": "Failed", "containerStatuses": [{"image": "x", "state": {"terminated": terminated}}]}
    return {"metadata": {"name": name, "creationTimestamp": CREATED}, "status": status}


def pending_pod(waiting: Object | None = None, condition: Object | None = None, created: str = CREATED) -> Object:
    """A pod that does not run yet."""
    containers = [{"image": "example.org/train:1", "state": {"waiting": waiting}}] if waiting else []
    status = {"phase": "Pending", "containerStatuses": containers, "conditions": [condition] if condition else []}
    return {"metadata": {"name": "p", "creationTimestamp": created}, "status": status}
