"""Observe, plan, act, report: the operator's loop on one machine. State lives in the store, so it can be stopped at any point."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from selftrain.api.errors import SelfTrainError, UserError
from selftrain.api.names import Layout
from selftrain.api.records import Manifest, Work
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.local.jobs import LocalJob
from selftrain.planning.actions import Action, StartStage, StopStage
from selftrain.planning.observed import Blame, Failure, JobView, Observed
from selftrain.planning.plan import plan
from selftrain.planning.steps import steps
from selftrain.storage.commit import read_manifest
from selftrain.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from selftrain.api.stages import Step

POLL_SECONDS = 0.2
REPORT_SECONDS = 10.0
LINE_LIMIT = 2000


class LocalRun:
    """One run on this machine. Manifests are kept once read: they never change."""

    def __init__(self, run: SelfTrainRun, store: ObjectStore, folder: Path) -> None:
        self.run = run
        self._store = store
        self._folder = folder
        self._layout = Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)
        self._jobs: dict[str, LocalJob] = {}
        self._manifests: dict[Step, Manifest] = {}

    def to_the_end(self, report: Callable[["LocalRun"], None]) -> SelfTrainRun:
        """Run until the run has succeeded or stalled; `report` is called now and then, and when the status changes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        reported = 0.0
        while True:
            changed, acted = self.cycle(datetime.now(UTC))  # noqa: TID251 - the shell reads the clock
            if changed or time.monotonic() - reported > REPORT_SECONDS:
                report(self)
                reported = time.monotonic()
            if self.run.status.ended and not acted:
                return self.run
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End what still runs."""
        for job in self._jobs.values():
            job.stop()

    def last_line(self, name: str) -> str:
        """The last line that the first pod of a Job has written."""
        job = self._jobs.get(name)
        if job is None or not job.log(0).exists():
            return ""
        return job.log(0).read_bytes()[-LINE_LIMIT:].decode(errors="replace").rstrip().rpartition("\n")[2]

    def cycle(self, now: datetime) -> tuple[bool, bool]:
        """One look at the world. Returns whether the status changed and whether something was done."""
        decision = plan(self.run, self._observe(now), now)
        for action in decision.actions:
            self._act(action, now)
        changed = decision.status != self.run.status
        self.run = self.run.model_copy(update={"status": decision.status})
        return changed, bool(decision.actions)

    def _observe(self, now: datetime) -> Observed:
        jobs: tuple[JobView, ...] = tuple(job.view(now) for job in self._jobs.values())
        try:
            self._read_manifests()
        except SelfTrainError as error:
            blame = Blame.USER if isinstance(error, UserError) else Blame.PLATFORM
            return Observed(jobs, problem=Failure(blame, error.reason, str(error)))
        return Observed(jobs, dict(self._manifests))

    def _read_manifests(self) -> None:
        for step in steps(self.run.spec):
            if step in self._manifests:
                continue
            manifest = read_manifest(self._store, self._layout, step)
            if manifest is None:
                return
            self._manifests[step] = manifest

    def _act(self, action: Action, now: datetime) -> None:
        match action:
            case StartStage(step=step, attempt=attempt, first=first):
                work = Work(
                    run=self.run.metadata, iteration=step.iteration, stage=step.stage, attempt=attempt, first=first, spec=self.run.spec
                )
                job = LocalJob(work, self._folder, now)
                self._jobs.setdefault(job.name, job)
            case StopStage(job=name):
                self._jobs.pop(name).stop()
            case _:
                assert_never(action)
