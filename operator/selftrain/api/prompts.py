"""The templates of a run that replace the built-in ones."""

from typing import Annotated

from pydantic import Field

from selftrain.api.base import ApiModel

Template = Annotated[str, Field(min_length=1, max_length=16384)]


class PromptTemplate(ApiModel):
    """A chat prompt with {{placeholders}}. The text is used exactly as written and its hash is kept in the lineage."""

    system: Annotated[str, Field(max_length=16384)] | None = None
    """System message; absent means none."""
    user: Template
    """User message."""


class Prompts(ApiModel):
    """Templates that replace the built-in ones."""

    classify: PromptTemplate | None = None
    """Asks what an instruction is, in three lines: Category, Complexity, Length. Placeholders: {{instruction}}, {{scale}}."""
    answer: PromptTemplate | None = None
    """Asks for an answer. Placeholder: {{instruction}}."""
    variation: PromptTemplate | None = None
    """Asks for a similar but different instruction and a good answer to it, between <instruction> and <answer> tags.
    Placeholders: {{instruction}}, {{answer}}."""
    rewrite: PromptTemplate | None = None
    """Asks for the answer with a change for the worse, between <answer> tags. Placeholders: {{instruction}}, {{answer}} and {{change}},
    where it is said what a kind of worse answer changes; a template without it asks for the same change whatever the kind."""
    judge: PromptTemplate | None = None
    """Asks for a judgment ending in [[A]] or [[B]]. Placeholders: {{instruction}}, {{answer_a}}, {{answer_b}}."""
    plan: PromptTemplate | None = None
    """Asks for the judgments that are learnt from, where they are sampled with another prompt than the judge is trained and evaluated
    with: the release's has the judge plan criteria first, and its judge learns to do so unasked. Placeholders: those of judge. Absent
    means judge."""
    ranking: PromptTemplate | None = None
    """Asks for the best of four answers, ending in [[A]] to [[D]]. Placeholders: those of judge, {{answer_c}}, {{answer_d}}."""
    rating: PromptTemplate | None = None
    """Asks for a rating of one answer, ending in [[1]] to [[10]]. Placeholders: {{instruction}}, {{answer}}."""
