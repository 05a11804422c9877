"""selftrain score: a benchmark's official numbers from rows that anybody's judge produced."""

from collections.abc import Callable
from pathlib import Path

from selftrain.cli.rows import bad, read_rows
from selftrain.cli.schemas import JudgeBenchRow, MtBenchRow, PairRow, RewardBench2Row, RewardBenchRow, RmBenchRow
from selftrain.method.benchmarks import judgebench, mtbench, pairs, rewardbench, rewardbench2, rmbench
from selftrain.method.benchmarks.score import Scored


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
    rows = read_rows(path, RewardBench2Row, RewardBench2Row.key)
    best = [_best(row) for row in rows if row.subset != rewardbench2.TIES]
    return rewardbench2.score(best, [_tied(row) for row in rows if row.subset == rewardbench2.TIES])


def _best(row: RewardBench2Row) -> rewardbench2.Best:
    if row.position is not None:
        return rewardbench2.Best(row.subset, rewardbench2.ranked(row.position, row.winner), int(row.winner is None))
    ratings = row.ratings or ()
    return rewardbench2.Best(row.subset, rewardbench2.rated(ratings), rewardbench2.not_rated(ratings))


def _tied(row: RewardBench2Row) -> rewardbench2.Tied:
    kind, _, prompt = row.id.partition(":")
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
    return mtbench.score(mtbench.Row(row.question_id, row.turn, None if row.judge == "error" else row.judge, row.human) for row in rows)


def _pairs(path: Path) -> Scored:
    return pairs.score(row.as_pair() for row in read_rows(path, PairRow, PairRow.key))


SCORERS: dict[str, Callable[[Path], Scored]] = {
    rewardbench2.NAME: _rewardbench2,
    judgebench.NAME: _judgebench,
    rmbench.NAME: _rmbench,
    mtbench.NAME: _mtbench,
    pairs.NAME: _pairs,
}
