"""A question to a judge, and what was heard."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from selftrain.api.pair_files import Benchmark, Mode, PairFormat

Prompt = Literal["judge", "ranking", "rating"]


class Question(NamedTuple):
    """One prompt about an item."""

    key: str
    """How the answers are shown, which says what a verdict means."""
    prompt: Prompt
    values: Mapping[str, str]
    gold: str | None = None
    """The verdict that is right; None where one verdict alone is neither right nor wrong."""


class Heard(NamedTuple):
    """One judgment, by both readings."""

    strict: str | None
    lenient: str | None


MODES: dict[Mode, Prompt] = {Mode.PAIRWISE: "judge", Mode.RANKING: "ranking", Mode.RATING: "rating"}


def prompts_of(benchmarks: Iterable[Benchmark], *, validation: bool = False) -> list[Prompt]:
    """The prompts that some benchmarks and held-out pairs need. RewardBench 2 has items that can only be rated."""
    needed: set[Prompt] = {"judge"} if validation else set()
    for entry in benchmarks:
        needed |= {MODES[entry.mode]} | ({"rating"} if entry.format is PairFormat.REWARDBENCH2 else set())
    return sorted(needed)
