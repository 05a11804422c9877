"""Errors, sorted by who must act.

SelfTrainError
├── UserError       the author of the run must change something: no retry
└── PlatformError   the platform: retried within the budget, then stopped

Where nobody must act (a pod that waits for a node, one that was drained) there is no error, and nothing is charged to anybody.
Every error says what is wrong and what to do next. `ExitCode` carries the kind across the border of a pod.
"""

from enum import IntEnum

from selftrain.api.conditions import Reason


class ExitCode(IntEnum):
    """What a worker's exit code means; the Job's pod failure policy and the planner read the same table."""

    OK = 0
    USER = 10
    PLATFORM = 12
    DRAINED = 143


class SelfTrainError(Exception):
    """Base of all errors that are meant for a person."""

    exit_code = ExitCode.PLATFORM

    def __init__(self, reason: Reason, message: str, fix: str) -> None:
        super().__init__(f"{message}; {fix}")
        self.reason = reason
        self.message = message
        self.fix = fix


class UserError(SelfTrainError):
    """The author of the run must change something. Retrying cannot help."""

    exit_code = ExitCode.USER


class PlatformError(SelfTrainError):
    """The platform failed (store unreachable, out of memory, a node lost). Retried within the budget."""
