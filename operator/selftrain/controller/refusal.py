"""Statuses that do not come from the planner: the manifest cannot be used, or the API server refuses what the planner wants."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.errors import UserError
from selftrain.api.status import Condition, Status
from selftrain.planning.summary import Truth, format_time

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
    return _with_conditions(before, generation, judged, now)


def blocked_status(before: Status, generation: int, words: str, now: datetime) -> Status:
    """What was known: the attempt does not count until its Job exists. It is tried again, so the run is not stalled."""
    judged: tuple[Judgment, ...] = (
        (ConditionType.ACCEPTED, "True", Reason.VALID, ""),
        (ConditionType.PROGRESSING, "True", Reason.STAGE_STARTING, f"{words}; it is tried again"),
        (ConditionType.SUCCEEDED, "Unknown", Reason.NOT_FINISHED, ""),
        (ConditionType.STALLED, "False", Reason.NOT_STALLED, ""),
        (ConditionType.SUSPENDED, "False", Reason.NOT_SUSPENDED, ""),
    )
    return _with_conditions(before, generation, judged, now)


def _with_conditions(before: Status, generation: int, judged: tuple[Judgment, ...], now: datetime) -> Status:
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
