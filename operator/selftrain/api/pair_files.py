"""Files of pairs whose winner is known: to be judged on, and to be learnt from."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from selftrain.api.base import ApiModel, Count, DnsLabel, InputUri, Share


class PairFormat(StrEnum):
    """The published layout of a file of pairs with known winners."""

    PAIRS = "pairs"
    REWARDBENCH = "rewardbench"
    JUDGEBENCH = "judgebench"
    RM_BENCH = "rm-bench"
    HELPSTEER2 = "helpsteer2"
    MT_BENCH = "mt-bench"
    PPE = "ppe"
    PPE_CORRECTNESS = "ppe-correctness"
    REWARDBENCH2 = "rewardbench2"


BENCHMARKS_ONLY = (PairFormat.MT_BENCH, PairFormat.REWARDBENCH2)
"""Formats whose items are more than a pair with a winner."""


class Mode(StrEnum):
    """How a judge is asked about the answers of an item."""

    PAIRWISE = "pairwise"
    """two answers at a time, in both orders; of more than two as a tournament"""
    RANKING = "ranking"
    """all four at once"""
    RATING = "rating"
    """each answer alone, from 1 to 10"""


class Labelled(ApiModel):
    """Pairs whose better answer is known, from people for example. They are judged, selected and learnt from like synthetic ones."""

    uri: InputUri
    """Parquet or JSON in the given format, at the same kinds of places as the instructions."""
    format: PairFormat = PairFormat.PAIRS
    """Layout of the file: pairs has the columns instruction (or prompt), chosen and rejected, and optionally id; the others are as
    published. In each of them, pairs without a winner (HelpSteer2's equal marks, PPE's ties), those of answers that are equal but for
    case and spacing, and those that were there before are left out and counted, and a missing side is an error."""
    limit: Count | None = None
    """Use the first so many of the other pairs; absent means all."""
    share: Share | None = None
    """Share of labelled pairs among the ordered pairs in every training set, each source balanced on its own: of the source that is there
    in excess, some are left out and counted as not mixed, in both orders where select.requireMirror is true. Examples that do not fit in
    train.sequenceLength are left out of it afterwards. Needs instructions. Absent means as they come."""


class Benchmark(ApiModel):
    """Held-out pairs with known winners."""

    name: DnsLabel
    """Name in results."""
    uri: InputUri
    """Parquet or JSON in the given format."""
    format: PairFormat = PairFormat.PAIRS
    """Layout of the file, and whose rules score it beside ours. The layout pairs has the columns instruction (or prompt), chosen,
    rejected and optionally id and subset; the others are as published (RewardBench, JudgeBench, RM-Bench, HelpSteer2 with its
    helpfulness, people's votes on MT-Bench and in PPE, PPE's pairs of a right and a wrong answer, RewardBench 2)."""
    mode: Mode = Mode.PAIRWISE
    """How the judge is asked: about two answers at a time (pairwise), or about each alone (rating), the better one being the one with the
    higher rating; two equal ones, and one that cannot be read, are no verdict. The four answers of RewardBench 2 take 12 judgments, 4, or
    1 by ranking, which only it has. Its Ties are rated always, as its makers do. People's votes on MT-Bench are about two answers, so it
    has no rating."""
    votes: Annotated[int, Field(ge=1, le=1024)] = 1
    """Judgments a prompt: 1 is greedy, more are sampled and decided by majority, ratings by their mean. Where two verdicts are said
    equally often there is none. The paper reports 1 and 32."""
