"""MT-Bench (Zheng et al. 2023, arXiv 2306.05685): agreement of a judge with people, with and without ties.

Source: fastchat/llm_judge/compute_agreement.py of lm-sys/FastChat, 0e6d3e4.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from selftrain.method.benchmarks.score import NOTHING, WITHOUT_TIES, Score, Scored
from selftrain.method.stats import effective

NAME = "mt-bench"
TIE = "tie"
TURNS = (1, 2)


class Row(NamedTuple):
    """One comparison of two models' answers in one turn. A judge's missing verdict agrees with nobody."""

    question: str
    turn: int
    judge: str | None
    people: Sequence[str]


def part_of(turn: int) -> str:
    """Name of a turn's part."""
    return f"turn {turn}"


def turn_of(part: str) -> int:
    """The turn of a part."""
    return int(part.removeprefix("turn "))


def is_expert(judge: str) -> bool:
    """Whether a vote counts as people's: get_judge_name keeps those of authors, and models', apart."""
    return judge.startswith("expert")


def score(rows: Iterable[Row]) -> Scored:
    """Agreed and total votes of people, by turn, with ties counted as a verdict and with all ties left out. Overall is with ties.

    Without any vote there is no score.
    """
    items = list(rows)
    parts = {
        f"{part_of(turn)} {'with' if ties else 'without'} ties": agreements((row for row in items if row.turn == turn), ties=ties)
        for turn in TURNS
        for ties in (True, False)
    }
    overall, without = (_share(agreements(items, ties=ties)) for ties in (True, False))
    shown = {name: _share(found).as_json(agreed=_sum(found)[0], total=_sum(found)[1]) for name, found in parts.items()}
    return Scored(NAME, overall if overall.count else None, overall.count, shown, {WITHOUT_TIES: without.as_json()})


def agreements(rows: Iterable[Row], *, ties: bool) -> list[tuple[int, int]]:
    """By question: people's votes that agree with the judge, and all that count."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for row in rows:
        judge = _plain(row.judge)
        found[row.question].extend(vote == judge for vote in map(_plain, row.people) if ties or TIE not in (judge, vote))
    return [(sum(votes), len(votes)) for votes in found.values() if votes]


def _plain(vote: str | None) -> str | None:
    """FastChat knows several spellings of a tie."""
    return TIE if vote and TIE in vote else vote


def _share(compared: list[tuple[int, int]]) -> Score:
    """Neither votes on one comparison, which are compared with one verdict, nor comparisons on one question are independent."""
    agreed, total = _sum(compared)
    return Score(agreed / total, total, effective(compared)) if total else NOTHING


def _sum(compared: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(agreed for agreed, _ in compared), sum(total for _, total in compared)
