"""The status of a run: a judgment on what was observed, made anew each time and written only when it differs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Literal

from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.records import BenchmarkResult, Manifest
from selftrain.api.stages import Stage, Step
from selftrain.api.status import HISTORY_LIMIT, Chosen, Condition, IterationStatus, Score, Status, Strict
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.method.scoring import interval
from selftrain.planning.choice import chosen
from selftrain.planning.observed import JobView, Observed
from selftrain.planning.steps import PAIRS_STEP


class Phase(Enum):
    """What a run is doing, as the planner sees it. Never stored: conditions are made from it."""

    STARTING = auto()
    PENDING = auto()
    RUNNING = auto()
    WAITING = auto()
    DRAINING = auto()
    SUSPENDED = auto()
    STALLED = auto()
    COMPLETED = auto()


@dataclass(frozen=True)
class Position:
    """Where a run stands. `step` is None when nothing is left to do."""

    step: Step | None
    job: JobView | None
    attempt: int
    failures: int

    @property
    def required_step(self) -> Step:
        """The step, where there is one."""
        if self.step is None:
            raise AssertionError(self)
        return self.step


@dataclass(frozen=True)
class Outcome:
    """The planner's verdict. `attempt` and `failures` are given where a new attempt is started."""

    phase: Phase
    reason: Reason
    message: str
    attempt: int | None = None
    failures: int | None = None


Truth = Literal["True", "False", "Unknown"]


def is_stalled(status: Status) -> Condition | None:
    """The Stalled condition, if it is true."""
    return _true(status, ConditionType.STALLED)


def is_finished(run: SelfTrainRun) -> bool:
    """Whether all that the spec asks for was seen to be done. It stays so, whatever becomes of the store."""
    return _true(run.status, ConditionType.SUCCEEDED) is not None and is_same_spec(run)


def is_same_spec(run: SelfTrainRun) -> bool:
    """Whether the status was made from the spec as it is."""
    return run.status.observed_generation == run.metadata.generation


def _true(status: Status, kind: ConditionType) -> Condition | None:
    return next((c for c in status.conditions if c.type is kind and c.status == "True"), None)


def parse_time(text: str) -> datetime:
    """A Kubernetes timestamp."""
    return datetime.fromisoformat(text)


def format_time(moment: datetime) -> str:
    """A Kubernetes timestamp, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(run: SelfTrainRun, observed: Observed, position: Position, outcome: Outcome, now: datetime) -> Status:
    """The whole status. The same observation gives the same status, whenever it is made."""
    old = run.status
    if observed.problem is not None:  # manifests are unknown: keep what was last seen
        # A stalled run goes on after an edit. Until it can, the edit counts as not seen.
        seen = run.metadata.generation if old.stalled_attempt is None else old.observed_generation
        return old.model_copy(update={"conditions": conditions_of(run, outcome, now), "observed_generation": seen})
    started = old.start_time or (format_time(now) if outcome.attempt is not None or position.job else None)
    completed = (old.completion_time or format_time(now)) if outcome.phase is Phase.COMPLETED else None
    iterations = _iterations(run, observed)
    at = position.step or Step(run.spec.iterations, Stage.EVALUATE)
    scored = [entry for entry in iterations if entry.scores]
    trained = [entry for entry in iterations if entry.checkpoint]
    return Status(
        conditions=conditions_of(run, outcome, now),
        observed_generation=run.metadata.generation,
        iteration=at.iteration,
        progress=f"{at.iteration}/{run.spec.iterations}",
        stage=position.step.stage if position.step else None,
        attempt=outcome.attempt if outcome.attempt is not None else position.attempt if position.step else 0,
        failures=outcome.failures if outcome.failures is not None else position.failures if position.step else 0,
        stalled_attempt=_stalled_attempt(run, position, outcome),
        start_time=started,
        completion_time=completed,
        score=scored[-1].scores[0].accuracy if scored else None,
        checkpoint=trained[-1].checkpoint if trained else None,
        chosen=chosen_of(run, observed.manifests),
        iterations=iterations[-HISTORY_LIMIT:],
    )


def _stalled_attempt(run: SelfTrainRun, position: Position, outcome: Outcome) -> int | None:
    """Remembered while suspended, so that the same failure does not stall the run again afterwards."""
    if outcome.phase is Phase.STALLED:
        return position.attempt
    paused = outcome.phase in (Phase.SUSPENDED, Phase.DRAINING)
    return run.status.stalled_attempt if paused and run.status.attempt == position.attempt else None


def conditions_of(run: SelfTrainRun, outcome: Outcome, now: datetime) -> list[Condition]:
    """All five conditions of an accepted run."""
    phase, reason, message = outcome.phase, outcome.reason, outcome.message
    stalled, done = phase is Phase.STALLED, phase is Phase.COMPLETED
    moving = phase in (Phase.STARTING, Phase.PENDING, Phase.RUNNING, Phase.WAITING, Phase.DRAINING)
    succeeded: Truth = "True" if done else "False" if stalled else "Unknown"
    suspended = {Phase.SUSPENDED: Reason.SUSPENDED, Phase.DRAINING: Reason.DRAINING}.get(phase, Reason.NOT_SUSPENDED)
    judged: list[tuple[ConditionType, Truth, Reason, str]] = [
        (ConditionType.ACCEPTED, "True", Reason.VALID, ""),
        (ConditionType.PROGRESSING, "True" if moving else "False", reason, message),
        (ConditionType.SUCCEEDED, succeeded, reason if done or stalled else Reason.NOT_FINISHED, message if stalled else ""),
        (ConditionType.STALLED, "True" if stalled else "False", reason if stalled else Reason.NOT_STALLED, message if stalled else ""),
        (ConditionType.SUSPENDED, "True" if phase is Phase.SUSPENDED else "False", suspended, ""),
    ]
    return [_condition(run, *entry, now) for entry in judged]


def _condition(run: SelfTrainRun, kind: ConditionType, status: Truth, reason: Reason, message: str, now: datetime) -> Condition:
    before = next((c for c in run.status.conditions if c.type is kind), None)
    since = before.last_transition_time if before and before.status == status else format_time(now)
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:4096],
        observed_generation=run.metadata.generation,
        last_transition_time=since,
    )


def chosen_of(run: SelfTrainRun, manifests: Mapping[Step, Manifest]) -> Chosen | None:
    """The judge to use, of those that there are."""
    choice = chosen(run.spec, manifests)
    if choice is None:
        return None
    return Chosen(iteration=choice.iteration, checkpoint=checkpoint_of(run, choice.iteration, manifests), by=choice.by)


def _iterations(run: SelfTrainRun, observed: Observed) -> list[IterationStatus]:
    numbers = sorted({step.iteration for step in observed.manifests})
    return [_iteration(run, number, observed.manifests) for number in numbers]


def _iteration(run: SelfTrainRun, number: int, manifests: dict[Step, Manifest]) -> IterationStatus:
    def count(step: Step, name: str) -> int | None:
        manifest = manifests.get(step)
        return None if manifest is None else manifest.counts.get(name, 0)

    evaluated = manifests.get(Step(number, Stage.EVALUATE))
    held_out = evaluated.validation.overall if evaluated and evaluated.validation else None
    return IterationStatus(
        iteration=number,
        pairs=count(PAIRS_STEP, "pairs") if number else None,
        judgments=count(Step(number, Stage.JUDGE), "judgments"),
        kept=count(Step(number, Stage.SELECT), "kept"),
        scores=[score_of(result) for result in evaluated.results] if evaluated else [],
        validation=Strict(correct=held_out.strict_correct, total=held_out.pairs) if held_out else None,
        checkpoint=checkpoint_of(run, number, manifests) if Step(number, Stage.TRAIN) in manifests else None,
    )


def checkpoint_of(run: SelfTrainRun, number: int, manifests: Mapping[Step, Manifest]) -> str:
    """Where the judge of a finished training lies."""
    return f"{run.spec.store.uri.rstrip('/')}/{manifests[Step(number, Stage.TRAIN)].checkpoint}"


def score_of(result: BenchmarkResult) -> Score:
    """A benchmark's accuracy over both orders with its interval."""
    correct, total = result.overall.correct, result.overall.total
    low, high = interval(result.overall)
    share = correct / total if total else 0.0
    return Score(
        benchmark=result.benchmark,
        correct=correct,
        total=total,
        accuracy=f"{share:.4f}",
        low=f"{low:.4f}",
        high=f"{high:.4f}",
    )
