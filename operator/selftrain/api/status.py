"""What the operator reports. Bounded: the full history lies in the store."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from selftrain.api.base import ApiModel, Decimal, DnsLabel, KeyedBy, Share
from selftrain.api.conditions import ConditionType, Reason
from selftrain.api.stages import Stage

HISTORY_LIMIT = 10
"""Iterations kept in the status."""

Timestamp = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", max_length=20)]


class Condition(ApiModel):
    """A metav1.Condition."""

    type: ConditionType
    """What is said."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Reason
    """Why, in one word."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """Why, for people, and what to do next."""
    observed_generation: int = 0
    """Generation of the spec this was judged from."""
    last_transition_time: Timestamp
    """When the status last changed."""


class Score(ApiModel):
    """Accuracy on one benchmark, both orders, with its 95 % interval (Wilson, on as many judgments as are independent)."""

    benchmark: DnsLabel
    """Name of the benchmark."""
    correct: Annotated[int, Field(ge=0)]
    """Right verdicts."""
    total: Annotated[int, Field(ge=0)]
    """Verdicts asked for; an unparsed one is not right."""
    accuracy: Share
    """Share of right verdicts."""
    low: Share
    """Lower end of the interval."""
    high: Share
    """Upper end of the interval."""


class ChosenBy(StrEnum):
    """What a judge was chosen by."""

    VALIDATION = "validation"
    """of all iterations it decides most held-out synthetic pairs right in both orders; of equal ones it is the earliest"""
    LAST = "last"
    """it is the last one; nothing is held out that could tell which is better"""


class Chosen(ApiModel):
    """The judge to use, of those there are so far."""

    iteration: Annotated[int, Field(ge=1)]
    """Its iteration."""
    checkpoint: Annotated[str, Field(max_length=1024)]
    """Its URI."""
    by: ChosenBy
    """What it was chosen by: validation, the share of held-out synthetic pairs that are right in both orders; or last, since no
    instructions are held out (see instructions.validation)."""


class Strict(ApiModel):
    """Pairs that are right in both orders."""

    correct: Annotated[int, Field(ge=0)]
    """Right in both orders."""
    total: Annotated[int, Field(ge=0)]
    """Pairs judged."""


class IterationStatus(ApiModel):
    """One finished or running iteration. Iteration 0 is the seed judge."""

    iteration: Annotated[int, Field(ge=0)]
    """Number of the iteration."""
    pairs: Annotated[int, Field(ge=0)] | None = None
    """Usable pairs."""
    judgments: Annotated[int, Field(ge=0)] | None = None
    """Sampled judgments."""
    kept: Annotated[int, Field(ge=0)] | None = None
    """Judgments in the training set."""
    scores: Annotated[list[Score], Field(max_length=32), KeyedBy("benchmark")] = []
    """Scores of the iteration's judge."""
    validation: Strict | None = None
    """The held-out synthetic pairs, by which a judge is chosen; never a benchmark."""
    checkpoint: Annotated[str, Field(max_length=1024)] | None = None
    """URI of the iteration's judge."""


class Status(ApiModel):
    """What was last observed of a run."""

    conditions: Annotated[list[Condition], Field(max_length=8), KeyedBy("type")] = []
    """Accepted, Progressing, Succeeded, Stalled, Suspended."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """Generation of the spec this status was made from."""
    iteration: Annotated[int, Field(ge=0)] | None = None
    """Iteration under way."""
    progress: Annotated[str, Field(max_length=16)] | None = None
    """Iteration under way and how many there are, as 3/5."""
    stage: Stage | None = None
    """Stage under way."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """Number of the newest Job of the stage under way."""
    failures: Annotated[int, Field(ge=0)] = 0
    """Failed attempts of the stage under way since the spec last changed."""
    stalled_attempt: Annotated[int, Field(ge=0)] | None = None
    """Attempt at which the run stalled; a changed spec starts the next one."""
    blocked_since: Timestamp | None = None
    """Since when the cluster takes no Job of the stage."""
    start_time: Timestamp | None = None
    """When the first stage was started."""
    completion_time: Timestamp | None = None
    """When the last iteration was evaluated."""
    score: Decimal | None = None
    """Accuracy of the newest judge on the first benchmark."""
    checkpoint: Annotated[str, Field(max_length=1024)] | None = None
    """URI of the newest judge."""
    chosen: Chosen | None = None
    """The judge to use."""
    iterations: Annotated[list[IterationStatus], Field(max_length=HISTORY_LIMIT), KeyedBy("iteration")] = []
    """The last iterations."""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        final = (ConditionType.SUCCEEDED, ConditionType.STALLED)
        return any(c.type in final and c.status == "True" for c in self.conditions)
