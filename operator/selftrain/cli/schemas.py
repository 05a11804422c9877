"""The rows of each benchmark that `selftrain score` reads: what is refused, and what its help says of them."""

from inspect import getdoc
from textwrap import fill, indent
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from selftrain.cli.rows import Row
from selftrain.method.benchmarks import judgebench, mtbench, pairs, rewardbench, rewardbench2, rmbench


def _name(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = "a name is text or a whole number"
        raise ValueError(message)  # noqa: TRY004 - pydantic reads no TypeError
    return str(value)


Id = Annotated[str, BeforeValidator(_name)]
"""A number names the same as its text."""
Letter = Literal["A", "B", "C", "D"]
Decision = Literal["A>B", "B>A", "A=B"]
Vote = Literal["model_a", "model_b", "tie", "tie (bothbad)", "tie (inconsistent)"]
Three = Annotated[list[float], Field(min_length=3, max_length=3)]
RESULTS = (0, 0.5, 1)


class RewardBenchRow(Row):
    """`{"id", "subset", "result": 1, 0 or 0.5}`; 0.5 is no verdict."""

    id: Id
    subset: str
    result: float

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(self.subset in rewardbench.SUBSETS, f"RewardBench has no subset {self.subset!r}")
        _require(self.result in RESULTS, f"result is {self.result}, not 1, 0 or 0.5")
        return self


class RewardBench2Row(Row):
    """Ranked: `{"id", "subset", "position": "C", "winner": "A".."D" or null}`, the correct answer's letter and the chosen one.

    Rated: `{"id", "subset", "ratings": [...]}`, the correct answer's first, -1 if unparsed.
    Ties: `{"id": "ref:3" or "tied:3", "subset": "Ties", "num_correct", "ratings": [...]}`, those of the correct answers first.
    """

    id: Id
    subset: str
    position: Letter | None = None
    winner: Letter | None = None
    ratings: list[float] | None = None
    num_correct: int | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(self.subset in rewardbench2.COUNTS, f"RewardBench 2 has no subset {self.subset!r}")
        if self.subset == rewardbench2.TIES:
            kind, _, prompt = self.id.partition(":")
            _require(kind in ("ref", "tied") and bool(prompt), f"id {self.id!r} of a Ties row is neither ref:N nor tied:N")
            wrong = len(self.ratings or ()) - (self.num_correct or 0)
            _require((self.num_correct or 0) > 0 and wrong > 0, "a Ties row needs num_correct, and ratings of right and wrong answers")
        ranked, rated = self.position is not None, self.ratings is not None
        _require(ranked != rated and (ranked or self.winner is None), "a row has either position and winner, or ratings")
        _require(rated or "winner" in self.model_fields_set, "a row with a position needs a winner too, null if there was no verdict")
        _require(self.ratings is None or len(self.ratings) > 1, "ratings of at least two answers are needed")
        return self

    def key(self) -> tuple[str, str, int | str]:
        """Items of Ties are the same if the official code takes them for the same."""
        if self.subset != rewardbench2.TIES:
            return self.subset, "", self.id
        kind, _, prompt = self.id.partition(":")
        return self.subset, kind, rewardbench2.prompt_of(prompt)


class JudgeBenchRow(Row):
    """`{"id", "source", "label": "A>B", "decisions": [first order, swapped order]}`, each as the judge gave it, null if unparsed."""

    id: Id
    source: str
    label: Literal["A>B", "B>A"]
    decisions: Annotated[list[Decision | None], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(judgebench.part_of(self.source) is not None, f"JudgeBench has no source {self.source!r}")
        return self


class RmBenchRow(Row):
    """`{"id", "domain", "score_chosen": [3], "score_rejected": [3]}`, or `{"id", "domain", "wins": 3 x 3 of 0, 0.5 and 1}`.

    The three styles go from short to long with Markdown; a line of wins is a style of the right answer.
    """

    id: Id
    domain: str
    score_chosen: Three | None = None
    score_rejected: Three | None = None
    wins: Annotated[list[Three], Field(min_length=3, max_length=3)] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(rmbench.part_of(self.domain) is not None, f"RM-Bench has no domain {self.domain!r}")
        given = [self.score_chosen is not None, self.score_rejected is not None, self.wins is None]
        _require(all(given) or not any(given), "a row has either score_chosen and score_rejected, or wins")
        _require(all(cell in RESULTS for line in self.wins or () for cell in line), "wins are 0, 0.5 or 1")
        return self


class MtBenchRow(Row):
    """`{"question_id", "turn", "model_a", "model_b", "judge": verdict or null, "human": [verdicts]}`.

    A verdict is model_a, model_b or tie; null was not parsed, nor was what FastChat calls error.
    """

    question_id: Id
    turn: int
    model_a: str
    model_b: str
    judge: Vote | Literal["error"] | None
    human: list[Vote]

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(self.turn in mtbench.TURNS, f"turn is {self.turn}, not 1 or 2")
        return self

    def key(self) -> tuple[Id, int, frozenset[str]]:
        """One judge's verdict for each comparison, whichever model is called a."""
        return self.question_id, self.turn, frozenset((self.model_a, self.model_b))


class PairRow(Row):
    """`{"id", "subset", "label": "A", "verdicts": [first order, swapped order]}`; the subset may be left out.

    The label is right in the first order; a verdict is A, B or tie, as the judge gave it in that order, null if unparsed.
    """

    id: Id
    subset: str = ""
    label: Literal["A", "B"]
    verdicts: Annotated[list[Literal["A", "B", "tie"] | None], Field(min_length=2, max_length=2)]

    def key(self) -> tuple[str, str]:
        """A pair is the same in every file."""
        return self.subset, self.id

    def as_pair(self) -> pairs.Row:
        """For the scorer."""
        return pairs.Row(self.id, self.subset, self.label, (self.verdicts[0], self.verdicts[1]))


ROWS: dict[str, type[Row]] = {
    rewardbench.NAME: RewardBenchRow,
    rewardbench2.NAME: RewardBench2Row,
    judgebench.NAME: JudgeBenchRow,
    rmbench.NAME: RmBenchRow,
    mtbench.NAME: MtBenchRow,
    pairs.NAME: PairRow,
}


def described() -> str:
    """The rows of all benchmarks, for people."""
    rows = (f"{name}:\n{indent(_wrapped(getdoc(row) or ''), '  ')}" for name, row in ROWS.items())
    return "\n\n".join(["Rows, one JSON object an item; other columns are ignored.", *rows])


def _wrapped(text: str) -> str:
    return "\n".join(fill(line, 98, subsequent_indent="  ", break_on_hyphens=False) for line in text.splitlines() if line)


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(message)
