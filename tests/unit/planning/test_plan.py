"""The planner, run to the end against a world in memory that can fail, be slow, lose replies and die halfway."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.names import job_name
from selftrain.api.records import VALIDATION, BenchmarkResult, Manifest, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.status import ChosenBy, Strict
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.actions import Decision, StartStage, StopStage
from selftrain.planning.observed import Blame, Failure, JobState, JobView, Observed
from selftrain.planning.plan import plan
from selftrain.planning.steps import steps

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


def fail(world: World, step: Step, attempt: int, ended: datetime | None = None) -> None:
    """An attempt began now and failed."""
    name = job_name("judge", step, attempt)
    world.jobs[name] = JobView(name, step, attempt, JobState.FAILED, world.now, finished=ended, failure=OUT_OF_MEMORY)


def test_a_run_starts_each_step_once_in_order() -> None:
    world = World(a_run())
    world.cycle()
    assert world.condition(ConditionType.SUCCEEDED).reason is Reason.NOT_FINISHED
    world.to_the_end()
    assert world.condition(ConditionType.SUCCEEDED).reason is Reason.COMPLETED
    assert [action.step for action in world.started] == list(steps(world.run.spec))
    assert [action.first for action in world.started] == [True] + [False] * (len(world.started) - 1)
    assert all(action.attempt == 1 for action in world.started)
    assert world.is_true(ConditionType.SUCCEEDED)
    assert world.run.status.progress == "2/2"
    assert world.run.status.score == "0.6667"
    assert world.run.status.checkpoint == "s3://bucket/runs/default/judge-12345678/iteration-002/train/checkpoint/"
    assert [entry.iteration for entry in world.run.status.iterations] == [0, 1, 2]


def test_a_weaker_model_answers_after_the_seed_is_scored_and_before_pairs_are_made() -> None:
    world = World(a_run(weaker={"uri": "s3://bucket/old"}, generate={"negatives": [{"kind": "weaker"}]}))
    world.to_the_end()
    started = [action.step for action in world.started]
    assert started[:3] == [Step(0, Stage.EVALUATE), Step(0, Stage.GENERATE), Step(1, Stage.GENERATE)]
    assert world.is_true(ConditionType.SUCCEEDED)
    assert [entry.pairs for entry in world.run.status.iterations] == [None, 10, 10]


def test_the_judge_to_use_is_the_last_one_where_nothing_is_held_out() -> None:
    world = World(a_run(iterations=3))
    world.to_the_end()
    chosen = world.run.status.chosen
    assert chosen is not None
    assert (chosen.iteration, chosen.by, chosen.checkpoint) == (3, ChosenBy.LAST, world.run.status.checkpoint)
    assert world.run.status.iterations[3].validation is None


def test_the_judge_to_use_is_the_best_one_on_held_out_pairs() -> None:
    """44 of 60 twice: the earlier one. While the run goes on it is the best one so far."""
    world, seen = World(a_run(iterations=3, instructions={"uri": "s3://bucket/instructions.jsonl", "validation": 60})), []
    while not world.is_true(ConditionType.SUCCEEDED):
        world.cycle()
        world.advance()
        seen.append(world.run.status.chosen and world.run.status.chosen.iteration)
    assert list(dict.fromkeys(seen)) == [None, 1, 2]
    chosen = world.run.status.chosen
    assert chosen is not None
    assert (chosen.by, chosen.checkpoint) == (ChosenBy.VALIDATION, world.run.status.iterations[2].checkpoint)
    told = [entry.validation for entry in world.run.status.iterations]
    assert told == [None, *(Strict(correct=correct, total=60) for correct in STRICT.values())]


def test_nothing_is_written_when_nothing_changed() -> None:
    world = World(a_run())
    world.to_the_end()
    written = world.writes
    for _ in range(5):
        world.now += timedelta(hours=1)
        assert world.cycle().actions == ()
    assert world.writes == written


@settings(max_examples=60, deadline=None)
@given(
    iterations=st.integers(1, 4),
    fail=st.dictionaries(st.integers(0, 20), st.just(OUT_OF_MEMORY), max_size=6),
    crash=st.frozensets(st.integers(0, 80), max_size=12),
)
def test_every_run_ends_whatever_fails_and_whenever_the_operator_dies(
    iterations: int, fail: dict[int, Failure], crash: frozenset[int]
) -> None:
    world = World(a_run(iterations=iterations), fail=fail, crash=crash)
    world.to_the_end()
    names = [(action.step, action.attempt) for action in world.started]
    assert len(names) == len(set(names))
    if world.is_true(ConditionType.SUCCEEDED):
        assert set(world.manifests) == set(steps(world.run.spec))
    else:
        assert world.condition(ConditionType.STALLED).reason is Reason.RETRIES_EXHAUSTED


@given(fail=st.dictionaries(st.integers(0, 20), st.just(OUT_OF_MEMORY), max_size=6))
def test_a_stage_is_tried_as_often_as_retries_allow(fail: dict[int, Failure]) -> None:
    world = World(a_run(retries={"attempts": 2}), fail=fail)
    world.to_the_end()
    tries = [action.attempt for action in world.started]
    assert max(tries) <= 2


def test_failures_are_charged_to_their_own_step() -> None:
    world, charged = World(a_run(), fail={0: OUT_OF_MEMORY}), {}
    while not world.is_true(ConditionType.SUCCEEDED):
        started = [(action.step, action.attempt) for action in world.cycle().actions if isinstance(action, StartStage)]
        charged |= dict.fromkeys(started, world.run.status.failures)
        world.advance()
    first, *others = steps(world.run.spec)
    assert charged == {(first, 1): 0, (first, 2): 1, **{(step, 1): 0 for step in others}}


@pytest.mark.parametrize("known", [True, False])
def test_attempts_that_were_started_before_the_operator_died_are_charged(*, known: bool) -> None:
    """Of three attempts at a step the status knows the first one only, or it still tells of the step before."""
    world = World(a_run(retries={"attempts": 3}))
    world.cycle()
    before, step, *_ = (None, *steps(world.run.spec)) if known else steps(world.run.spec)
    if before:
        world.manifests[before] = manifest_of(before, 1)
    for attempt in (1, 2, 3):
        fail(world, step, attempt)
    assert world.cycle().actions == ()
    assert world.condition(ConditionType.STALLED).reason is Reason.RETRIES_EXHAUSTED


def test_an_edit_forgives_failures_whether_or_not_they_were_reported() -> None:
    world = World(a_run(retries={"attempts": 3}))
    step = steps(world.run.spec)[0]
    world.cycle()
    fail(world, step, 1)
    world.now += timedelta(hours=1)
    world.cycle()
    assert world.run.status.failures == 1
    fail(world, step, 3)
    world.edit(iterations=3)
    world.now += timedelta(hours=1)
    assert world.cycle().actions == (StartStage(step, 4, first=True),)
    assert world.run.status.failures == 1


def test_the_next_attempt_waits_longer_after_each_failure() -> None:
    """Doubled from the moment at which the Job ended, or began if its end is unknown, to five minutes at most."""
    world, waits = World(a_run(retries={"attempts": 9})), []
    step = steps(world.run.spec)[0]
    for attempt in range(1, 9):
        world.cycle()
        ended = world.now + timedelta(minutes=7) if attempt % 2 else None
        fail(world, step, attempt, ended)
        world.now = ended or world.now
        ready = world.cycle().look_again
        assert ready is not None
        waits.append((ready - world.now).total_seconds())
        world.now = ready - timedelta(seconds=1)
        assert world.look().actions == ()
        world.now = ready
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_the_authors_errors_are_not_retried() -> None:
    world = World(a_run(), fail={1: BAD_DATA})
    world.to_the_end()
    stalled = world.condition(ConditionType.STALLED)
    assert (stalled.reason, world.condition(ConditionType.SUCCEEDED).status) == (Reason.INSTRUCTIONS_INVALID, "False")
    assert "no field 'instruction'" in stalled.message
    assert len(world.started) == 2


def test_a_stalled_run_stays_stalled_when_its_jobs_are_gone() -> None:
    world = World(a_run(), fail={1: BAD_DATA})
    world.to_the_end()
    world.jobs.clear()
    for _ in range(3):
        world.now += timedelta(days=30)
        assert world.cycle().actions == ()
    assert world.is_true(ConditionType.STALLED)


@pytest.mark.parametrize("jobs_are_kept", [True, False])
def test_suspending_and_resuming_tries_a_stalled_run_again(jobs_are_kept: bool) -> None:
    world = World(a_run(), fail={1: BAD_DATA})
    world.to_the_end()
    if not jobs_are_kept:
        world.jobs.clear()
    world.edit(suspend=True)
    world.cycle()
    assert world.is_true(ConditionType.SUSPENDED)
    world.edit(suspend=False)
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)
    assert [(a.step.stage, a.attempt) for a in world.started][1:3] == [(Stage.GENERATE, 1), (Stage.GENERATE, 2)]


def test_more_retries_let_a_stalled_run_go_on() -> None:
    world = World(a_run(retries={"attempts": 1}), fail={2: OUT_OF_MEMORY})
    world.to_the_end()
    assert world.condition(ConditionType.STALLED).reason is Reason.RETRIES_EXHAUSTED
    world.edit(retries={"attempts": 2})
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)


def test_more_iterations_let_a_finished_run_go_on() -> None:
    world = World(a_run(iterations=1))
    world.to_the_end()
    world.edit(iterations=2)
    world.to_the_end()
    assert [a.step.iteration for a in world.started if a.step.stage is Stage.TRAIN] == [1, 2]
    assert world.is_true(ConditionType.SUCCEEDED)


def test_suspend_stops_pods_and_resume_takes_the_next_attempt() -> None:
    world = World(a_run())
    world.cycle()
    world.edit(suspend=True)
    assert [type(action) for action in world.cycle().actions] == [StopStage]
    world.cycle()
    assert world.is_true(ConditionType.SUSPENDED)
    assert world.jobs == {}
    world.edit(suspend=False)
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)
    assert [a.attempt for a in world.started[:2]] == [1, 2]
    assert world.run.status.failures == 0


@pytest.mark.parametrize("suspend", [True, False])
def test_what_to_do_about_a_job_that_does_not_go_is_said_and_nothing_is_started_beside_it(*, suspend: bool) -> None:
    world = World(a_run(suspend=suspend, deadlines={"pendingSeconds": 600}))
    name = job_name("judge", steps(world.run.spec)[0], 1)
    world.jobs[name] = JobView(name, steps(world.run.spec)[0], 1, JobState.RUNNING, START, deleting=START)
    assert world.cycle().look_again == START + timedelta(seconds=600)
    told = world.condition(ConditionType.PROGRESSING).message
    world.now += timedelta(seconds=600)
    assert world.cycle().look_again is None
    advice = "if a node is lost, delete its Node object, or the job's pods with --force"
    assert world.condition(ConditionType.PROGRESSING).message == f"{told}; job {name} is not gone yet: {advice}"
    assert world.started == []


@pytest.mark.parametrize("failure", [BAD_DATA, OUT_OF_MEMORY])
def test_what_is_left_of_an_earlier_attempt_decides_nothing(failure: Failure) -> None:
    """Its failed Job stays for a week. The Job of the next attempt is gone with the suspension."""
    world = World(a_run(retries={"attempts": 1}), fail={0: failure})
    world.to_the_end()
    world.edit(suspend=True)
    world.cycle()
    world.edit(suspend=False)
    world.cycle()
    assert [action.attempt for action in world.started] == [1, 2]
    world.edit(suspend=True)
    world.cycle()
    assert [job.attempt for job in world.jobs.values()] == [1]
    world.edit(suspend=False)
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)
    assert [action.attempt for action in world.started[:3]] == [1, 2, 3]


def test_a_pod_that_never_runs_stalls_the_run() -> None:
    world = World(a_run(deadlines={"pendingSeconds": 60}))
    world.cycle()
    [name] = world.jobs
    world.jobs[name] = replace(world.jobs[name], waiting="0/1 nodes: Insufficient nvidia.com/gpu")
    world.cycle()
    assert "Insufficient nvidia.com/gpu" in world.condition(ConditionType.PROGRESSING).message
    assert world.look().look_again == START + timedelta(seconds=60)
    world.now += timedelta(seconds=60)
    world.cycle()
    assert world.condition(ConditionType.STALLED).reason is Reason.PENDING_DEADLINE_EXCEEDED
    assert "Insufficient nvidia.com/gpu" in world.condition(ConditionType.STALLED).message
    assert world.jobs == {}


def test_the_run_deadline_stops_the_run_and_raising_it_goes_on() -> None:
    world = World(a_run(deadlines={"runSeconds": 1000}))
    world.to_the_end()
    assert world.condition(ConditionType.STALLED).reason is Reason.RUN_DEADLINE_EXCEEDED
    world.edit(deadlines={"runSeconds": 1_000_000})
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)


@pytest.mark.parametrize("blame", list(Blame))
def test_an_unreadable_store_starts_and_stops_nothing_and_is_looked_at_again(blame: Blame) -> None:
    world = World(a_run())
    problem = Failure(blame, Reason.STORE_NOT_FOUND, "bucket 'bucket' does not exist; create it")
    world.cycle()
    started = len(world.started)
    decision = world.cycle(problem)
    assert decision.actions == ()
    assert decision.look_again is not None
    assert world.condition(ConditionType.PROGRESSING).reason is Reason.STORE_NOT_FOUND
    assert world.is_true(ConditionType.STALLED) is (blame is Blame.USER)
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)
    assert len(world.started) == started + len(steps(world.run.spec)) - 1


def test_a_deadline_that_was_raised_while_the_job_ran_needs_no_other_edit() -> None:
    """The Job dies of the one that it was made with."""
    late = Failure(Blame.USER, Reason.STAGE_DEADLINE_EXCEEDED, "took longer")
    world = World(a_run(deadlines={"stageSeconds": 600}), fail={0: late})
    world.cycle()
    [name] = world.jobs
    world.jobs[name] = replace(world.jobs[name], allowed_seconds=600)
    world.edit(deadlines={"stageSeconds": 6000})
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)
    same = World(a_run(deadlines={"stageSeconds": 600}), fail={0: late})
    same.cycle()
    same.jobs[name] = replace(same.jobs[name], allowed_seconds=600)
    same.to_the_end()
    assert same.condition(ConditionType.STALLED).reason is Reason.STAGE_DEADLINE_EXCEEDED


NO_ANSWER = Failure(Blame.PLATFORM, Reason.STORE_UNAVAILABLE, "no answer")
DENIED = Failure(Blame.USER, Reason.STORE_ACCESS_DENIED, "denied")


@pytest.mark.parametrize("problem", [NO_ANSWER, DENIED])
@pytest.mark.parametrize(("failure", "reason"), [(BAD_DATA, Reason.INSTRUCTIONS_INVALID), (OUT_OF_MEMORY, Reason.RETRIES_EXHAUSTED)])
def test_a_store_that_cannot_be_read_for_a_while_ends_no_stall(problem: Failure, failure: Failure, reason: Reason) -> None:
    world = World(a_run(retries={"attempts": 1}), fail={0: failure})
    world.to_the_end()
    for _ in range(3):
        assert world.cycle(problem).look_again is not None
        assert world.condition(ConditionType.STALLED).reason is reason
        assert world.cycle().actions == ()
    assert (len(world.started), world.condition(ConditionType.STALLED).reason) == (1, reason)


@pytest.mark.parametrize("problem", [NO_ANSWER, DENIED])
def test_an_edit_while_the_store_cannot_be_read_counts_once_it_can(problem: Failure) -> None:
    world = World(a_run(retries={"attempts": 1}), fail={0: OUT_OF_MEMORY})
    world.to_the_end()
    world.edit(retries={"attempts": 2})
    for _ in range(3):
        assert world.cycle(problem).actions == ()
    assert world.condition(ConditionType.PROGRESSING).reason is problem.reason
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)


def test_a_run_can_be_stopped_whether_or_not_its_store_can_be_read() -> None:
    world = World(a_run())
    world.cycle()
    world.edit(suspend=True)
    assert [type(action) for action in world.cycle(NO_ANSWER).actions] == [StopStage]
    world.cycle(NO_ANSWER)
    assert world.is_true(ConditionType.SUSPENDED)
    late = World(a_run(deadlines={"runSeconds": 60}))
    late.cycle()
    late.cycle()
    late.now += timedelta(seconds=61)
    assert [type(action) for action in late.cycle(DENIED).actions] == [StopStage]
    assert late.condition(ConditionType.STALLED).reason is Reason.RUN_DEADLINE_EXCEEDED


def test_a_finished_run_does_not_run_late_while_its_store_cannot_be_read() -> None:
    world = World(a_run(deadlines={"runSeconds": 1_000_000}))
    world.to_the_end()
    world.now += timedelta(days=30)
    world.cycle(NO_ANSWER)
    assert world.condition(ConditionType.PROGRESSING).reason is Reason.STORE_UNAVAILABLE
    world.cycle()
    assert world.is_true(ConditionType.SUCCEEDED)


def test_a_job_that_succeeded_without_a_manifest_is_a_failure() -> None:
    world = World(a_run(retries={"attempts": 1}))
    world.cycle()
    [name] = world.jobs
    world.jobs[name] = replace(world.jobs[name], state=JobState.SUCCEEDED)
    world.cycle()
    assert "manifest is missing" in world.condition(ConditionType.STALLED).message


def test_status_is_bounded() -> None:
    world = World(a_run(iterations=50))
    world.to_the_end(limit=2000)
    assert len(world.run.status.iterations) == 10
    assert len(world.run.status.model_dump_json()) < 16_000
