"""The planner, run to the end against a world in memory that can fail, be slow, lose replies and die halfway."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.planned import BAD_DATA, OUT_OF_MEMORY, START, STRICT, World, a_run
from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.names import job_name
from selftrain.api.stages import Stage, Step
from selftrain.api.status import ChosenBy, Strict
from selftrain.planning.actions import StopStage
from selftrain.planning.observed import Blame, Failure, JobState, JobView
from selftrain.planning.steps import PAIRS_STEP, steps


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
    assert world.run.status.checkpoint == "s3://bucket/runs/judge/checkpoint-2/"
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
    world.edit(ttlSecondsAfterFinished=600)
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


def test_a_finished_run_stays_finished_whatever_becomes_of_its_store() -> None:
    world = World(a_run())
    world.to_the_end()
    finished = world.run.status
    world.manifests.clear()
    for problem in (None, Failure(Blame.USER, Reason.STORE_NOT_FOUND, "no bucket")):
        decision = world.look(problem)
        assert (decision.actions, decision.status) == ((), finished)


@pytest.mark.parametrize("lost", [PAIRS_STEP, Step(1, Stage.TRAIN)])
@pytest.mark.parametrize("more", [False, True])
def test_nothing_is_made_again_when_a_manifest_is_gone(lost: Step, more: bool) -> None:
    world = World(a_run())
    if more:
        world.to_the_end()
        world.edit(iterations=3)
    else:
        while Step(1, Stage.EVALUATE) not in world.manifests:
            world.cycle()
            world.advance()
    world.cycle()
    reported, kept = world.run.status, world.manifests.pop(lost)
    decision = world.cycle()
    assert decision.actions == ()
    assert world.condition(ConditionType.STALLED).reason is Reason.STORE_CORRUPT
    assert str(lost) in world.condition(ConditionType.STALLED).message
    assert (world.run.status.stage, world.run.status.iterations) == (reported.stage, reported.iterations)
    world.manifests[lost] = kept
    world.to_the_end()
    assert world.is_true(ConditionType.SUCCEEDED)
