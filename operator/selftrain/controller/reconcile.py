"""One look at a run: observe, plan, act, report. It decides nothing itself and remembers nothing.

If the process dies after any line, the next look finds Jobs and manifests as they are and goes on from there.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, assert_never

from selftrain.api.conditions import Reason
from selftrain.api.errors import SelfTrainError, UserError
from selftrain.api.load import run_of
from selftrain.api.records import Manifest, Work
from selftrain.api.stages import Step
from selftrain.api.status import Status
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.controller.refusal import blocked_status, refused_status, stored_status
from selftrain.controller.work_queue import Key
from selftrain.kube.client import ClusterError, Conflict, Invalid, Missing, owner_uid
from selftrain.kube.jobs import Defaults, objects_of
from selftrain.kube.observe import needs_pods, view_of
from selftrain.planning.actions import Action, StartStage, StopStage
from selftrain.planning.observed import Blame, Failure, JobState, JobView, Observed
from selftrain.planning.plan import plan
from selftrain.planning.summary import is_finished

log = logging.getLogger(__name__)

Object = dict[str, Any]

PENDING_LOOK = timedelta(seconds=20)
"""Why a pod waits changes without an event of its Job."""
BLOCKED_LOOK = timedelta(seconds=30)
"""A quota or an admission rule may let the Job pass the next time."""


class RunCluster(Protocol):
    """What a look needs of a cluster; `kube.client.Cluster` is the real one."""

    async def run(self, namespace: str, name: str) -> Object | None: ...
    async def jobs(self, namespace: str, run: str) -> list[Object]: ...
    async def pods(self, namespace: str, job_uid: str) -> list[Object]: ...
    async def create_job(self, job: Mapping[str, Any]) -> None: ...
    async def apply_service(self, service: Mapping[str, Any]) -> None: ...
    async def delete_job(self, namespace: str, name: str, uid: str) -> None: ...
    async def replace_status(self, run: Mapping[str, Any], status: Mapping[str, Any]) -> None: ...


class Manifests(Protocol):
    """Where manifests come from."""

    async def read(self, run: SelfTrainRun) -> dict[Step, Manifest]: ...


@dataclass(frozen=True)
class Reconciler:
    """Looks at runs in one cluster."""

    cluster: RunCluster
    manifests: Manifests
    defaults: Defaults

    async def look(self, key: Key, now: datetime) -> datetime | None:
        """Bring a run one step on. Returns when to look again if no event comes first."""
        body = await self.cluster.run(*key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return None  # what it made goes with it, by owner reference
        try:
            run = parse(body)
        except UserError as error:
            return await self._refuse(body, error, now)
        if is_finished(run):
            return None
        jobs = [job for job in await self.cluster.jobs(*key) if owner_uid(job) == run.metadata.uid]
        observed = await self._observe(run, jobs)
        decision = plan(run, observed, now)
        try:
            for action in decision.actions:
                await self._act(run, action, {job["metadata"]["name"]: job["metadata"]["uid"] for job in jobs})
        except UserError as error:  # no Job can be made from this spec
            return await self._refuse(body, error, now)
        except Invalid as error:
            fix = "correct the fields that the message is about (resources, tolerations, volumes), or ask for the policy to be changed"
            return await self._refuse(body, UserError(Reason.INVALID_SPEC, f"the API server takes no Job of this spec: {error}", fix), now)
        except ClusterError as error:  # a quota, an admission webhook that is down
            blocked = blocked_status(run, str(error), now)
            return now + BLOCKED_LOOK if blocked == run.status or await self._report(body, blocked) else now
        if decision.status != run.status and not await self._report(body, decision.status):
            return now
        return _next_look(observed, decision.look_again, now)

    async def _observe(self, run: SelfTrainRun, jobs: list[Object]) -> Observed:
        """Jobs were read before manifests, so a Job seen to have succeeded has its manifest."""
        views = tuple(await asyncio.gather(*(self._view(job) for job in jobs)))
        try:
            return Observed(views, await self.manifests.read(run))
        except SelfTrainError as error:
            blame = Blame.USER if isinstance(error, UserError) else Blame.PLATFORM
            return Observed(views, problem=Failure(blame, error.reason, str(error)))

    async def _view(self, job: Object) -> JobView:
        meta = job["metadata"]
        pods = await self.cluster.pods(meta["namespace"], meta["uid"]) if needs_pods(job) else []
        return view_of(job, pods)

    async def _act(self, run: SelfTrainRun, action: Action, uids: Mapping[str, str]) -> None:
        match action:
            case StartStage(step=step, attempt=attempt, first=first):
                await self._start(_work(run, step, attempt, first=first))
            case StopStage(job=name):
                log.info("%s/%s: stopping job %s", run.metadata.namespace, run.metadata.name, name)
                await self.cluster.delete_job(run.metadata.namespace, name, uids[name])
            case _:
                assert_never(action)

    async def _start(self, work: Work) -> None:
        service, job = objects_of(work, self.defaults)
        if service is not None:
            await self.cluster.apply_service(service)
        await self.cluster.create_job(job)
        log.info("%s/%s: started job %s", work.run.namespace, work.run.name, job["metadata"]["name"])

    async def _refuse(self, body: Object, error: UserError, now: datetime) -> datetime | None:
        """Say why the run is not accepted. Nothing is started or stopped until the manifest is corrected."""
        before = stored_status(body)
        status = refused_status(before, body["metadata"]["generation"], error, now)
        if status != before and not await self._report(body, status):
            return now
        return None

    async def _report(self, body: Object, status: Status) -> bool:
        """The one write. False if the run has changed meanwhile, so that what was found may not hold any more."""
        try:
            await self.cluster.replace_status(body, status.model_dump(mode="json", exclude_none=True))
        except Missing:
            return True
        except Conflict:
            return False
        return True


def parse(body: Mapping[str, Any]) -> SelfTrainRun:
    """The run. A status from another version of the operator is no reason to refuse it: it is only a report."""
    try:
        return run_of(body)
    except UserError:
        run = run_of({**body, "status": {}})
        log.warning("%s/%s: cannot read the status, it is made anew", run.metadata.namespace, run.metadata.name)
        return run


def _work(run: SelfTrainRun, step: Step, attempt: int, *, first: bool) -> Work:
    return Work(run=run.metadata, iteration=step.iteration, stage=step.stage, attempt=attempt, first=first, spec=run.spec)


def _next_look(observed: Observed, planned: datetime | None, now: datetime) -> datetime | None:
    if any(job.state is JobState.PENDING for job in observed.jobs):
        return min(planned or now + PENDING_LOOK, now + PENDING_LOOK)
    return planned
