"""The unlabelled instructions of a run: where they are, and which of them are used."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from selftrain.api.base import SINCE, ApiModel, Count, InputUri, KeyedBy, Share

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", max_length=3)]


class MultiTurn(StrEnum):
    """What becomes of a conversation in which the person speaks more than once."""

    DROP = "drop"
    """it is left out and counted"""
    RENDER = "render"
    """the instruction is the whole conversation up to the person's last turn"""
    LAST = "last"
    """the instruction is the person's last turn alone, as in the release: it may make no sense without the others"""


class Chat(ApiModel):
    """How a conversation is written down, where it is not as OpenAI and ShareGPT do. Upper and lower case of names that speak are one."""

    role: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Field of a message that says who speaks. Absent means role, or else from."""
    text: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Field of a message with what is said. Absent means content, or else value."""
    person: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(min_length=1, max_length=16)] = ["user", "human"]
    """What the person is called. Who is called system is the system, and everybody else the assistant."""


class Filter(ApiModel):
    """A column that must have a value."""

    column: Annotated[str, Field(min_length=1, max_length=128)]
    """Name of the column, for example language."""
    equals: Annotated[str, Field(max_length=256)]
    """Its value as text, for example English; true or false for a boolean."""


class Category(StrEnum):
    """What an instruction asks for. Source: paper, figure 7."""

    CODING = "coding"
    MATHEMATICAL_REASONING = "mathematical-reasoning"
    ASKING_FOR_ADVICE = "asking-for-advice"
    BRAINSTORMING = "brainstorming"
    CLASSIFICATION = "classification"
    CLOSED_QUESTION_ANSWERING = "closed-question-answering"
    CREATIVE_WRITING = "creative-writing"
    EXTRACTION = "extraction"
    PERSONA = "persona"
    OPEN_QUESTION_ANSWERING = "open-question-answering"
    REWRITING = "rewriting"
    SUMMARIZATION = "summarization"
    KNOWLEDGE_AND_REASONING = "knowledge-and-reasoning"
    HUMANITY_HISTORY_OR_SOCIAL_STUDIES = "humanity-history-or-social-studies"
    OTHER = "other"


class Length(StrEnum):
    """What a good answer takes. Source: paper, figure 7, where they are the letters a to e."""

    ONE_SENTENCE = "1-sentence"
    SOME_SENTENCES = "1-to-3-sentences"
    ONE_PARAGRAPH = "1-paragraph"
    TWO_PARAGRAPHS = "2-paragraphs"
    MORE_PARAGRAPHS = "3-or-more-paragraphs"


class Classify(ApiModel):
    """The generator says what each instruction is, greedily and before answers are written; only wanted ones get answers."""

    categories: Annotated[list[Category], Field(min_length=1, max_length=15)] | None = None
    """Categories that are wanted; absent means all. The paper kept "reasoning" without saying whether that is mathematical-reasoning,
    knowledge-and-reasoning or both."""
    scale: Annotated[int, Field(ge=2, le=100)] = 10
    """The highest complexity there is; the lowest is 1. Sources disagree whether the paper's is 10 or 5."""
    minimum_complexity: Annotated[int, Field(ge=1, le=100)] = 1
    """The lowest complexity that is wanted."""
    maximum_complexity: Annotated[int, Field(ge=1, le=100)] | None = None
    """The highest complexity that is wanted; absent means that of the scale."""
    lengths: Annotated[list[Length], Field(min_length=1, max_length=5)] | None = None
    """Lengths of a good answer that are wanted; absent means all."""


class Instructions(ApiModel):
    """The unlabelled instructions."""

    uri: InputUri
    """Parquet or JSON (lines or an array, packed with gzip or not): s3://bucket/key, hf://datasets/owner/name@revision/file,
    pvc://claim/path, file:///path. In the file's name `*` stands for any part of it, for example data/train-*.parquet; the files are
    read in the order of their names."""
    text_field: Annotated[str, Field(min_length=1, max_length=128)] = "instruction"
    """Column with the instruction: a text, or a conversation as a list of messages with role and content (OpenAI's form, as in
    WildChat) or from and value (ShareGPT's); see chat for others. What follows the person's last turn is an answer and left out."""
    multi_turn: MultiTurn = MultiTurn.DROP
    """Conversations in which the person speaks more than once are left out (drop), shown up to the person's last turn (render) or cut
    down to that turn (last). What stands before a single question, such as a system prompt, is shown by render alone. The
    release uses last."""
    chat: Annotated[Chat | None, SINCE] = None
    """How conversations are written down. Absent means as OpenAI or ShareGPT do."""
    where: Annotated[list[Filter], Field(max_length=8), KeyedBy("column")] = []
    """Use only rows whose columns have these values; the others are counted as filtered."""
    limit: Count | None = None
    """Use the first so many distinct instructions; absent means all. The paper used 20,582."""
    languages: Annotated[list[Language] | None, Field(min_length=1, max_length=16), SINCE] = None
    """Leave out texts in other languages than these, as two letters (ISO 639-1), for example en. Texts whose language cannot be told,
    such as formulas and code, are used. Absent means any language. A column that says it is more certain: see where."""
    near_duplicates: Annotated[Share | None, SINCE] = None
    """Leave out an instruction that is about this similar to an earlier one or more, as the Jaccard similarity of their sequences of five
    words; 0.72 is usual for web texts (FineWeb). Absent means that only equal texts are left out."""
    validation: Annotated[int | None, Field(ge=1, le=1_000_000), SINCE] = None
    """How many of the instructions are held out, drawn by the run's seed: their pairs are written with the others and marked, but never
    judged for training nor learnt from. Every judge is scored on the synthetic ones, in both orders, and the best one there is the
    run's choice. Absent means none; the choice is the last judge then."""
    classify: Annotated[Classify | None, SINCE] = None
    """Have the generator say what each instruction is, and use only some kinds of them; absent means that nobody asks."""
