"""The unlabelled instructions of a run: where they are, and which of them are used."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from selftrain.api.base import SINCE, ApiModel, Count, InputUri, KeyedBy


class MultiTurn(StrEnum):
    """What becomes of a conversation in which the person speaks more than once."""

    DROP = "drop"
    """it is left out and counted"""
    RENDER = "render"
    """the instruction is the whole conversation up to the person's last turn"""
    LAST = "last"
    """the instruction is the person's last turn alone, as in the release: it may make no sense without the others"""


class Filter(ApiModel):
    """A column that must have a value."""

    column: Annotated[str, Field(min_length=1, max_length=128)]
    """Name of the column, for example language."""
    equals: Annotated[str, Field(max_length=256)]
    """Its value as text, for example English."""


class Instructions(ApiModel):
    """The unlabelled instructions."""

    uri: InputUri
    """Parquet or JSON lines: s3://bucket/key, hf://datasets/owner/name@revision/file, pvc://claim/path, file:///path."""
    text_field: Annotated[str, Field(min_length=1, max_length=128)] = "instruction"
    """Column with the instruction: a text, or a conversation as a list of messages with role and content (OpenAI's form, as in
    WildChat) or from and value (ShareGPT's), whose first answer and all that follows is left out."""
    multi_turn: MultiTurn = MultiTurn.DROP
    """Conversations in which the person speaks more than once are left out (drop), shown as a whole (render) or cut down to the last
    turn (last). Source: release, last."""
    where: Annotated[list[Filter], Field(max_length=8), KeyedBy("column")] = []
    """Use only rows whose columns have these values; the others are counted as filtered."""
    limit: Count | None = None
    """Use the first so many distinct instructions; absent means all. The paper used 20,582."""
    validation: Annotated[int | None, Field(ge=1, le=1_000_000), SINCE] = None
    """How many of the instructions are held out, drawn by the run's seed: their pairs are written with the others and marked, but never
    judged for training nor learnt from. Absent means none."""
