"""How long a run waits, and how often it tries again."""

from typing import Annotated

from pydantic import Field

from selftrain.api.base import ApiModel


class Deadlines(ApiModel):
    """When to stop waiting. Raising one lets a stalled run go on."""

    pending_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 3600
    """Longest time until a pod of a stage runs."""
    stage_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 604_800
    """Longest time of one attempt of a stage, waiting for nodes included. Time that a queue holds its Job back does not count."""
    run_seconds: Annotated[int, Field(ge=1, le=315_360_000)] | None = None
    """Longest time from the start of the run to its end."""


class Retries(ApiModel):
    """How often failures that are not the author's are tried again. Evictions and drains are not counted."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Jobs for one stage, the first included."""
    pod_failures: Annotated[int, Field(ge=0, le=1000)] = 3
    """Failed pods within one Job (for sharded stages: within one index)."""
