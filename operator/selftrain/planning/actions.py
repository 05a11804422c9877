"""What the planner can ask for. Actions are data; the shells (cluster and local) match them exhaustively."""

from dataclasses import dataclass
from datetime import datetime

from selftrain.api.stages import Step
from selftrain.api.status import Status


@dataclass(frozen=True)
class StartStage:
    """Create the Job of this attempt. Nothing happens if it exists."""

    step: Step
    attempt: int
    first: bool
    """Whether this is the first step of the run, which checks all inputs."""


@dataclass(frozen=True)
class StopStage:
    """Delete a Job and its pods, giving them time to finish their shard."""

    job: str


Action = StartStage | StopStage


@dataclass(frozen=True)
class Decision:
    """Actions to perform, the status to report, and when to look again if no event comes first."""

    actions: tuple[Action, ...]
    status: Status
    look_again: datetime | None = None
