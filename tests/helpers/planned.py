"""A world in memory for the planner: Jobs that can fail and be slow, and an operator that loses replies and dies halfway."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.names import job_name
from selftrain.api.records import VALIDATION, BenchmarkResult, Manifest, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.actions import Decision, StartStage, StopStage
from selftrain.planning.observed import Blame, Failure, JobState, JobView, Observed
from selftrain.planning.plan import plan

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDINGS = (ConditionType.SUCCEEDED, ConditionType.STALLED)
OUT_OF_MEMORY = Failure(Blame.PLATFORM, Reason.OUT_OF_MEMORY, "out of memory")
BAD_DATA = Failure(Blame.USER, Reason.INSTRUCTIONS_INVALID, "no field 'instruction'")


def a_run(**spec: Any) -> SelfTrainRun:
    base = {
        "model": {"uri": "s3://bucket/model"},
        "store": {"uri": "s3://bucket/runs"},
        "instructions": {"uri": "s3://bucket/instructions.jsonl"},
        "iterations": 2,
        "evaluate": {"benchmarks": [{"name": "held-out", "uri": "s3://bucket/pairs.jsonl"}]},
    }
    return SelfTrainRun.model_validate({"metadata": {"name": "judge", "uid": "12345678"}, "spec": {**base, **spec}})


STRICT = {1: 40, 2: 44, 3: 44}
"""Pairs of 60 held-out ones that each iteration's judge decides right in both orders."""


def manifest_of(step: Step, attempt: int) -> Manifest:
    tally = Tally(correct=200, total=300)
    results = [BenchmarkResult(benchmark="held-out", votes=1, overall=tally)] if step.stage is Stage.EVALUATE else []
    return Manifest(
        run="judge", iteration=step.iteration, stage=step.stage, attempt=attempt, work="0" * 64, inputs={}, parts=[],
        counts={"pairs": 10, "judgments": 300, "kept": 40}, results=results,
        checkpoint=f"judge/checkpoint-{step.iteration}/" if step.stage is Stage.TRAIN else None,
    )  # fmt: skip


def held_out_of(step: Step) -> BenchmarkResult | None:
    """What an evaluation says of held-out pairs."""
    if step.stage is not Stage.EVALUATE or step.iteration == 0:
        return None
    return BenchmarkResult(benchmark=VALIDATION, votes=1, overall=Tally(strict_correct=STRICT[step.iteration], pairs=60))


@dataclass
class World:
    """Jobs and manifests, a clock, and the run as stored. `fail` maps the n-th started Job to its failure."""

    run: SelfTrainRun
    fail: dict[int, Failure] = field(default_factory=dict)
    crash: frozenset[int] = frozenset()
    """Cycles after whose actions the operator dies before it writes the status."""
    now: datetime = START
    jobs: dict[str, JobView] = field(default_factory=dict)
    manifests: dict[Step, Manifest] = field(default_factory=dict)
    started: list[StartStage] = field(default_factory=list)
    cycles: int = 0
    writes: int = 0

    def look(self, problem: Failure | None = None) -> Decision:
        manifests = {} if problem else dict(self.manifests)
        return plan(self.run, Observed(tuple(self.jobs.values()), manifests, problem), self.now)

    def cycle(self, problem: Failure | None = None) -> Decision:
        decision = self.look(problem)
        for action in decision.actions:
            self.perform(action)
        if self.cycles not in self.crash and decision.status != self.run.status:
            self.run = self.run.model_copy(update={"status": decision.status})
            self.writes += 1
        self.cycles += 1
        return decision

    def perform(self, action: StartStage | StopStage) -> None:
        if isinstance(action, StopStage):
            self.jobs.pop(action.job, None)
            return
        name = job_name("judge", action.step, action.attempt)
        if name not in self.jobs:
            self.started.append(action)
            self.jobs[name] = JobView(name, action.step, action.attempt, JobState.PENDING, self.now)

    def advance(self) -> None:
        """Every Job takes one step; the clock runs on."""
        self.now += timedelta(seconds=400)
        for name, job in self.jobs.items():
            if job.state is JobState.PENDING:
                self.jobs[name] = replace(job, state=JobState.RUNNING)
            elif job.state is JobState.RUNNING:
                failure = self.fail.get([job_name("judge", a.step, a.attempt) for a in self.started].index(name))
                state = JobState.FAILED if failure else JobState.SUCCEEDED
                self.jobs[name] = replace(job, state=state, failure=failure, finished=self.now)
                if failure is None:
                    told = held_out_of(job.step) if self.run.spec.held_out else None
                    self.manifests[job.step] = manifest_of(job.step, job.attempt).model_copy(update={"validation": told})

    def failed(self, step: Step, attempt: int, ended: datetime | None = None) -> None:
        """An attempt began now and failed, whoever started it."""
        name = job_name("judge", step, attempt)
        self.jobs[name] = JobView(name, step, attempt, JobState.FAILED, self.now, finished=ended, failure=OUT_OF_MEMORY)

    def edit(self, **spec: Any) -> None:
        """Change the spec as kubectl would: the generation moves on."""
        data = self.run.model_dump(by_alias=True)
        data["spec"].update(spec)
        data["metadata"]["generation"] += 1
        self.run = SelfTrainRun.model_validate(data)

    def to_the_end(self, limit: int = 400) -> None:
        for _ in range(limit):
            decision = self.cycle()
            if any(self.is_true(kind) for kind in ENDINGS) and not decision.actions:
                return
            self.advance()
        pytest.fail("the run never ends")

    def condition(self, kind: ConditionType) -> Any:
        return next(c for c in self.run.status.conditions if c.type is kind)

    def is_true(self, kind: ConditionType) -> bool:
        return any(c.type is kind and c.status == "True" for c in self.run.status.conditions)
