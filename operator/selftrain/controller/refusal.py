"""Statuses that do not come from the planner: the manifest cannot be used, or the API server refuses what the planner wants."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.errors import UserError
from selftrain.api.status import Condition, Status
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.summary import Outcome, Phase, Truth, conditions_of, format_time, parse_time

Judgment = tuple[ConditionType, Truth, Reason, str]


def stored_status(body: Mapping[str, Any]) -> Status:
    """What was last reported; nothing if another version of the operator wrote it in a way this one cannot read."""
    try:
        return Status.model_validate(body.get("status") or {})
    except ValidationError:
        return Status()


def refused_status(before: Status, generation: int, error: UserError, now: datetime) -> Status:
    """What was known, with conditions that say what is wrong. The same refusal gives the same status."""
    reason, words = error.reason, str(error)
    judged: tuple[Judgment, ...] = (
        (ConditionType.ACCEPTED, "False", reason, words),
        (ConditionType.PROGRESSING, "False", reason, words),
        (ConditionType.SUCCEEDED, "False", reason, words),
        (ConditionType.STALLED, "True", reason, words),
        (ConditionType.SUSPENDED, "False", Reason.NOT_SUSPENDED, ""),
    )
    since = {(condition.type, condition.status): condition.last_transition_time for condition in before.conditions}
    conditions = [
        Condition(
            type=kind,
            status=truth,
            reason=reason,
            message=message[:4096],
            observed_generation=generation,
            last_transition_time=since.get((kind, truth), format_time(now)),
        )
        for kind, truth, reason, message in judged
    ]
    return before.model_copy(update={"conditions": conditions, "observed_generation": generation})


def blocked_status(run: SelfTrainRun, words: str, now: datetime) -> Status:
    """What was known: the attempt does not count until its Job exists. It is tried again, but stalled once pods are overdue."""
    since = run.status.blocked_since or format_time(now)
    late = now >= parse_time(since) + timedelta(seconds=run.spec.deadlines.pending_seconds)
    reason = Reason.PENDING_DEADLINE_EXCEEDED if late else Reason.STAGE_STARTING
    told = f"{words}; it is tried again" + (", and has been for longer than deadlines.pendingSeconds" if late else "")
    outcome = Outcome(Phase.STALLED if late else Phase.STARTING, reason, told)
    known = {"conditions": conditions_of(run, outcome, now), "observed_generation": run.metadata.generation, "blocked_since": since}
    return run.status.model_copy(update=known)
