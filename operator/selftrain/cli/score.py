"""selftrain score: a benchmark's official numbers from rows that anybody's judge produced."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from selftrain.cli.rows import Row, bad, read_rows
from selftrain.method.benchmarks import judgebench, mtbench, pairs, rewardbench, rewardbench2, rmbench
from selftrain.method.benchmarks.score import Scored

Id = str | int
Letter = Literal["A", "B", "C", "D"]
Decision = Literal["A>B", "B>A", "A=B"]
Vote = Literal["model_a", "model_b", "tie", "tie (bothbad)", "tie (inconsistent)"]
Three = Annotated[list[float], Field(min_length=3, max_length=3)]
RESULTS = (0, 0.5, 1)


class RewardBenchRow(Row):
    """result: 1 right, 0 wrong, 0.5 no verdict."""

    id: Id
    subset: str
    result: float

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(self.subset in rewardbench.SUBSETS, f"RewardBench has no subset {self.subset!r}")
        _require(self.result in RESULTS, f"result is {self.result}, not 1, 0 or 0.5")
        return self


class RewardBench2Row(Row):
    """Ranked: position, winner. Rated: ratings, that of the correct answer first, -1 if unparsed. Ties: num_correct and ratings."""

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
            kind, _, prompt = str(self.id).partition(":")
            _require(kind in ("ref", "tied") and bool(prompt), f"id {self.id!r} of a Ties row is neither ref:N nor tied:N")
            wrong = len(self.ratings or ()) - (self.num_correct or 0)
            _require((self.num_correct or 0) > 0 and wrong > 0, "a Ties row needs num_correct, and ratings of right and wrong answers")
        else:
            _require((self.position is None) != (self.ratings is None), "a row has either position and winner, or ratings")
            _require(self.ratings is None or len(self.ratings) > 1, "ratings of at least two answers are needed")
        return self


class JudgeBenchRow(Row):
    """decisions: in the order of the label and in the swapped order, each as the judge gave it; null if unparsed."""

    id: Id
    source: str
    label: Literal["A>B", "B>A"]
    decisions: Annotated[list[Decision | None], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(judgebench.part_of(self.source) is not None, f"JudgeBench has no source {self.source!r}")
        return self


class RmBenchRow(Row):
    """score_chosen and score_rejected of the three styles, or wins[right][wrong] of 0, 0.5 and 1."""

    id: Id
    domain: str
    score_chosen: Three | None = None
    score_rejected: Three | None = None
    wins: Annotated[list[Three], Field(min_length=3, max_length=3)] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        _require(rmbench.part_of(self.domain) is not None, f"RM-Bench has no domain {self.domain!r}")
        scored = self.score_chosen is not None and self.score_rejected is not None
        _require(scored != (self.wins is not None), "a row has either score_chosen and score_rejected, or wins")
        _require(all(cell in RESULTS for line in self.wins or () for cell in line), "wins are 0, 0.5 or 1")
        return self


class MtBenchRow(Row):
    """One comparison of two models in one turn: the judge's verdict (null if unparsed) and people's."""

    question_id: Id
    turn: Literal[1, 2]
    model_a: str
    model_b: str
    judge: Vote | None
    human: list[Vote]

    def key(self) -> tuple[Id, int, frozenset[str]]:
        """One judge's verdict for each comparison, whichever model is called a."""
        return self.question_id, self.turn, frozenset((self.model_a, self.model_b))


class PairRow(Row):
    """label is right in the first order; verdicts as given in the first and in the swapped order, null if unparsed."""

    id: Id
    subset: str = ""
    label: Literal["A", "B"]
    verdicts: Annotated[list[Literal["A", "B", "tie"] | None], Field(min_length=2, max_length=2)]

    def as_pair(self) -> pairs.Row:
        """For the scorer."""
        return pairs.Row(str(self.id), self.subset, self.label, (self.verdicts[0], self.verdicts[1]))


def score(benchmark: str, path: Path, *, prior_sets: bool = False) -> Scored:
    """Score a file. Raises UserError with the line of the first mistake."""
    if prior_sets and benchmark != rewardbench.NAME:
        message = f"{benchmark} has no Prior Sets"
        raise bad(message, "leave out --prior-sets")
    if benchmark == rewardbench.NAME:
        return _rewardbench(path, prior_sets=prior_sets)
    return SCORERS[benchmark](path)


def _rewardbench(path: Path, *, prior_sets: bool) -> Scored:
    rows = read_rows(path, RewardBenchRow, lambda row: (row.subset, row.id))
    return rewardbench.score((rewardbench.Row(row.subset, row.result) for row in rows), prior_sets=prior_sets)


def _rewardbench2(path: Path) -> Scored:
    rows = read_rows(path, RewardBench2Row, lambda row: (row.subset, row.id))
    best = [rewardbench2.Best(row.subset, _worth(row)) for row in rows if row.subset != rewardbench2.TIES]
    return rewardbench2.score(best, [_tied(row) for row in rows if row.subset == rewardbench2.TIES])


def _worth(row: RewardBench2Row) -> float:
    return rewardbench2.ranked(row.position, row.winner) if row.position else rewardbench2.rated(row.ratings or ())


def _tied(row: RewardBench2Row) -> rewardbench2.Tied:
    kind, _, prompt = str(row.id).partition(":")
    return rewardbench2.Tied(prompt, kind == "ref", row.num_correct or 0, row.ratings or ())


def _judgebench(path: Path) -> Scored:
    rows = read_rows(path, JudgeBenchRow, lambda row: (row.source, row.id))
    return judgebench.score(judgebench.Row(row.source, row.label, *row.decisions) for row in rows)


def _rmbench(path: Path) -> Scored:
    rows = read_rows(path, RmBenchRow, lambda row: (row.domain, row.id))
    return rmbench.score(rmbench.Row(row.domain, row.wins or _wins(row)) for row in rows)


def _wins(row: RmBenchRow) -> list[list[float]]:
    return rmbench.wins_of(row.score_chosen or (), row.score_rejected or ())


def _mtbench(path: Path) -> Scored:
    rows = read_rows(path, MtBenchRow, MtBenchRow.key)
    return mtbench.score(mtbench.Row(row.turn, row.judge, row.human) for row in rows)


def _pairs(path: Path) -> Scored:
    return pairs.score(row.as_pair() for row in read_rows(path, PairRow, lambda row: (row.subset, row.id)))


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(message)


SCORERS: dict[str, Callable[[Path], Scored]] = {
    rewardbench2.NAME: _rewardbench2,
    judgebench.NAME: _judgebench,
    rmbench.NAME: _rmbench,
    mtbench.NAME: _mtbench,
    pairs.NAME: _pairs,
}
