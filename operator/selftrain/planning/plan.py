"""plan(run, observed, now): the next actions and the status.

The current step is the first one without a manifest; everything else follows from that step's newest Job. Rules stand
in `_decide` in the order in which they win.
"""

from datetime import datetime, timedelta

from selftrain.api.conditions import Reason
from selftrain.api.stages import Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.actions import Action, Decision, StartStage, StopStage
from selftrain.planning.observed import Blame, Failure, JobState, JobView, Observed
from selftrain.planning.steps import steps
from selftrain.planning.summary import Outcome, Phase, Position, is_finished, is_same_spec, is_stalled, parse_time, status_of

STORE_RETRY = timedelta(seconds=30)
RETRY_DELAY = timedelta(seconds=10)
"""Wait after the first failed attempt; doubled with each further one."""
RETRY_DELAY_LIMIT = timedelta(minutes=5)
AGAIN = "; once mended, set spec.suspend to true and back to false to try again; a mistake in the manifest needs a new run"


def plan(run: SelfTrainRun, observed: Observed, now: datetime) -> Decision:
    """What to do next and what to say about the run. Asked again with the same world, it gives the same answer."""
    if is_finished(run):
        return Decision((), run.status)
    lost = _lost(run, observed)
    if lost is not None:
        observed = Observed(observed.jobs, problem=lost)
    position = _position(run, observed)
    outcome, actions, look_again = _decide(run, observed, position, now)
    return Decision(tuple(actions), status_of(run, observed, position, outcome, now), look_again)


def _lost(run: SelfTrainRun, observed: Observed) -> Failure | None:
    """A manifest that was there and is gone. Made again it would be another one than what later stages were made from."""
    step = next((step for step in _finished_steps(run) if step not in observed.manifests), None)
    if step is None or observed.problem is not None:
        return None
    message = f"{step}: its manifest is gone from the store; restore what was deleted, or start a new run"
    return Failure(Blame.USER, Reason.STORE_CORRUPT, message)


def _finished_steps(run: SelfTrainRun) -> tuple[Step, ...]:
    """Steps whose manifests the status was made from."""
    order, reported = steps(run.spec), _reported_step(run)
    if run.status.completion_time is not None:  # more iterations may have been asked for since
        return tuple(step for step in order if step.iteration <= (run.status.iteration or 0))
    return order[: order.index(reported)] if reported in order else ()


def _position(run: SelfTrainRun, observed: Observed) -> Position:
    """Where the run stands: its current step, that step's newest Job, and the failures charged to it."""
    if observed.problem is not None:
        return Position(_reported_step(run), None, run.status.attempt, run.status.failures)
    step = next((step for step in steps(run.spec) if step not in observed.manifests), None)
    jobs = [job for job in observed.jobs if job.step == step]
    known = run.status.attempt if step == _reported_step(run) else 0
    # What came of an earlier attempt was decided on when it ended, whatever is left of it.
    latest = max((job for job in jobs if job.attempt >= known), key=lambda job: job.attempt, default=None)
    attempt = max(known, latest.attempt if latest else 0)
    same_spec = is_same_spec(run)
    reported = run.status.failures if known and same_spec else 0
    # Attempts the status does not know of yet: the process died after starting them, each because one had failed.
    unreported = attempt - max(known, 1) if same_spec and attempt else 0
    return Position(step, latest, attempt, reported + max(0, unreported))


def _reported_step(run: SelfTrainRun) -> Step | None:
    status = run.status
    return None if status.stage is None or status.iteration is None else Step(status.iteration, status.stage)


Decided = tuple[Outcome, list[Action], datetime | None]


def _decide(run: SelfTrainRun, observed: Observed, position: Position, now: datetime) -> Decided:
    active = [job for job in observed.jobs if job.state in (JobState.PENDING, JobState.RUNNING) and not job.deleting]
    problem = observed.problem
    if problem is not None and run.status.completion_time is not None:
        return _store_problem(problem, now)
    if problem is None and position.step is None:
        return Outcome(Phase.COMPLETED, Reason.COMPLETED, "the last iteration is evaluated"), [], None
    if run.spec.suspend:  # pods are stopped whether or not it can be seen how far they are
        return _suspend(run, observed, active, now)
    if _still_stalled(run, position):
        return Outcome(Phase.STALLED, *_stalled_words(run)), _stop(active), now + STORE_RETRY if problem else None
    deadline = _run_deadline(run)
    if deadline is not None and now >= deadline:
        return _stall(Reason.RUN_DEADLINE_EXCEEDED, "deadlines.runSeconds has passed; raise it to go on", active)
    decided = _advance(run, position, active, now) if problem is None else _store_problem(problem, now)
    return decided if deadline is None else _with_deadline(decided, deadline)


def _store_problem(problem: Failure, now: datetime) -> Decided:
    phase = Phase.STALLED if problem.blame is Blame.USER else Phase.WAITING
    return Outcome(phase, problem.reason, problem.message), [], now + STORE_RETRY


def _suspend(run: SelfTrainRun, observed: Observed, active: list[JobView], now: datetime) -> Decided:
    going = [job for job in observed.jobs if job.deleting]
    if active or going:
        late, look_again = _late(run, going, now)
        return Outcome(Phase.DRAINING, Reason.DRAINING, f"pods are finishing their shard{late}"), _stop(active), look_again
    return Outcome(Phase.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true"), [], None


def _still_stalled(run: SelfTrainRun, position: Position) -> bool:
    """A stall lasts until the spec changes, or until the stage is finished after all.

    A stall over an unreadable store has no attempt: the store is looked at afresh each time, as is a cluster that takes no Job.
    """
    stalled = is_stalled(run.status) is not None and run.status.stalled_attempt is not None and run.status.blocked_since is None
    return is_same_spec(run) and stalled and position.step == _reported_step(run)


def _stalled_words(run: SelfTrainRun) -> tuple[Reason, str]:
    condition = is_stalled(run.status)
    assert condition is not None  # noqa: S101 - the caller has just checked it
    return condition.reason, condition.message


def _advance(run: SelfTrainRun, position: Position, active: list[JobView], now: datetime) -> Decided:
    job = position.job
    if job is None:
        return _start(run, position, position.failures)
    if job.deleting:
        late, look_again = _late(run, [job], now)
        return Outcome(Phase.STARTING, Reason.STAGE_STARTING, f"waiting for job {job.name} to be gone{late}"), [], look_again
    match job.state:
        case JobState.PENDING:
            return _pending(run, job, active, now)
        case JobState.RUNNING:
            return _running(run, job, active, now)
        case JobState.SUCCEEDED:
            lost = Failure(Blame.PLATFORM, Reason.STAGE_FAILED, f"job {job.name} succeeded but its manifest is missing")
            return _failed(run, position, job, lost, now)
        case JobState.FAILED:
            unknown = Failure(Blame.PLATFORM, Reason.STAGE_FAILED, f"job {job.name} failed without saying why")
            return _failed(run, position, job, job.failure or unknown, now)


def _late(run: SelfTrainRun, going: list[JobView], now: datetime) -> tuple[str, datetime | None]:
    """What to say of Jobs that should be gone by now, and else when they should be.

    Nobody else may end them: pods on a node that does not answer may still be at work.
    """
    allowed = timedelta(seconds=run.spec.deadlines.pending_seconds)
    due = sorted((job.deleting + allowed, job.name) for job in going if job.deleting)
    if not due:
        return "", None
    moment, name = due[0]
    if now < moment:
        return "", moment
    return f"; job {name} is not gone yet: if a node is lost, delete its Node object, or the job's pods with --force", None


def _start(run: SelfTrainRun, position: Position, failures: int, why: str = "") -> Decided:
    step, attempt = position.required_step, position.attempt + 1
    action = StartStage(step, attempt, first=step == steps(run.spec)[0])
    reason = Reason.STAGE_RETRYING if why else Reason.STAGE_STARTING
    message = f"{step}: starting attempt {attempt}" + (f" after: {why}" if why else "")
    return Outcome(Phase.STARTING, reason, message, attempt, failures), [action], None


def _pending(run: SelfTrainRun, job: JobView, active: list[JobView], now: datetime) -> Decided:
    deadline = job.created + timedelta(seconds=run.spec.deadlines.pending_seconds)
    why = f": {job.waiting}" if job.waiting else ""
    if now >= deadline:
        message = f"{job.step}: no pod of job {job.name} ran within deadlines.pendingSeconds{why}; raise it to try again"
        return _stall(Reason.PENDING_DEADLINE_EXCEEDED, message, active)
    return Outcome(Phase.PENDING, Reason.STAGE_PENDING, f"{job.step}: pods are not running yet{why}"), [], deadline


def _running(run: SelfTrainRun, job: JobView, active: list[JobView], now: datetime) -> Decided:
    # The Job has a deadline of its own, counted from when it was taken up; this one also holds where nothing enforces that.
    seconds = run.spec.deadlines.pending_seconds + run.spec.deadlines.stage_seconds
    deadline = job.created + timedelta(seconds=seconds)
    if now >= deadline:
        message = f"{job.step}: job {job.name} took longer than deadlines.stageSeconds; raise it to go on"
        return _stall(Reason.STAGE_DEADLINE_EXCEEDED, message, active)
    return Outcome(Phase.RUNNING, Reason.STAGE_RUNNING, f"{job.step}: running (job {job.name})"), [], deadline


def _failed(run: SelfTrainRun, position: Position, job: JobView, failure: Failure, now: datetime) -> Decided:
    if run.status.stalled_attempt == job.attempt and position.step == _reported_step(run):
        return _start(run, position, failures=0)  # this failure stopped the run before; the spec has changed since
    raised = job.allowed_seconds is not None and job.allowed_seconds < run.spec.deadlines.stage_seconds
    if failure.reason is Reason.STAGE_DEADLINE_EXCEEDED and raised:
        return _start(run, position, position.failures, failure.message)  # a Job keeps the deadline that it was made with
    if failure.blame is Blame.USER:
        return _stall(failure.reason, f"{job.step}: {failure.message}{AGAIN}", [])
    failures = position.failures + 1
    if failures >= run.spec.retries.attempts:
        message = f"{job.step} failed {failures} times, the last time: {failure.message}; raise retries.attempts to try again"
        return _stall(Reason.RETRIES_EXHAUSTED, message, [])
    ready = (job.finished or job.created) + min(RETRY_DELAY * 2 ** (failures - 1), RETRY_DELAY_LIMIT)
    if now >= ready:
        return _start(run, position, failures, failure.message)
    message = f"{job.step}: attempt {job.attempt} failed: {failure.message}; trying again shortly"
    return Outcome(Phase.STARTING, Reason.STAGE_RETRYING, message), [], ready


def _stall(reason: Reason, message: str, active: list[JobView]) -> Decided:
    return Outcome(Phase.STALLED, reason, message), _stop(active), None


def _stop(active: list[JobView]) -> list[Action]:
    return [StopStage(job.name) for job in active]


def _run_deadline(run: SelfTrainRun) -> datetime | None:
    seconds, started = run.spec.deadlines.run_seconds, run.status.start_time
    return None if seconds is None or started is None else parse_time(started) + timedelta(seconds=seconds)


def _with_deadline(decided: Decided, deadline: datetime) -> Decided:
    outcome, actions, look_again = decided
    return outcome, actions, min(look_again or deadline, deadline)
