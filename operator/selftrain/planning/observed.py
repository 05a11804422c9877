"""What is known about a run when the planner is asked. Built by the shell from Jobs and manifests, never remembered."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from selftrain.api.conditions import Reason
from selftrain.api.records import Manifest, Termination
from selftrain.api.stages import Step


class JobState(StrEnum):
    """Where a Job (or its local counterpart) stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Blame(StrEnum):
    """Who must act on a failure."""

    USER = "user"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Failure:
    """Why a Job failed, from its pods' last words where they left any."""

    blame: Blame
    reason: Reason
    message: str

    @classmethod
    def told(cls, said: Termination) -> Self:
        """As the pod itself told it."""
        return cls(Blame.USER if said.kind == "user" else Blame.PLATFORM, said.reason, said.message)


@dataclass(frozen=True)
class JobView:
    """One attempt of one step."""

    name: str
    step: Step
    attempt: int
    state: JobState
    created: datetime
    finished: datetime | None = None
    """When the Job ended, if it has."""
    failure: Failure | None = None
    waiting: str = ""
    """Why no pod is running yet, in the scheduler's or kubelet's words."""
    deleting: datetime | None = None
    """Since when the Job is to be gone. It is there until its last pod has ended."""
    allowed_seconds: int | None = None
    """The deadline that the Job was made with; nobody may change it afterwards."""


@dataclass(frozen=True)
class Observed:
    """Jobs of the run and manifests in its store. Jobs are read first: a Job seen to have succeeded has its manifest."""

    jobs: tuple[JobView, ...] = ()
    manifests: dict[Step, Manifest] = field(default_factory=dict)
    problem: Failure | None = None
    """Why the store could not be read; manifests are unknown then."""
