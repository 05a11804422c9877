"""Benchmarks from files, read into held-out pairs, or into items with more than two answers.

A row that cannot be scored is an error and no drop: scores must mean what they say. Exceptions are pairs of which the publishers say
themselves that neither answer is better, and what PPE has twice.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from selftrain.api.conditions import Reason
from selftrain.api.pair_files import Mode, PairFormat
from selftrain.api.records import Drop
from selftrain.method.contests import Contest, rated_alone
from selftrain.method.pairs import HeldOut, normal
from selftrain.storage.digests import canonical_json, digest
from selftrain.storage.files import file_rows
from selftrain.storage.layouts import CONTEST_COLUMNS, LAYOUTS, bad, contest

T = TypeVar("T")


def read_items(path: Path, layout: PairFormat, drops: Counter[Drop], mode: Mode = Mode.PAIRWISE) -> Sequence[HeldOut] | Sequence[Contest]:
    """All items of a benchmark; what is left out is counted. Raises UserError naming the row that is wrong."""
    if layout is PairFormat.REWARDBENCH2:
        return read_contests(path)
    pairs = read_benchmark(path, layout, drops, published=layout is not PairFormat.PAIRS)
    return [rated_alone(pair) for pair in pairs] if mode is Mode.RATING else pairs


def read_benchmark(
    path: Path, layout: PairFormat = PairFormat.PAIRS, drops: Counter[Drop] | None = None, *, published: bool = False
) -> list[HeldOut]:
    """All held-out pairs of a file. Raises UserError naming the row that is wrong.

    Two equal answers are wrong too, unless the file is a published benchmark: its own score counts them.
    """
    known, counted = LAYOUTS[layout], Counter[Drop]() if drops is None else drops
    rows = known.pairs(file_rows(path, known.columns, Reason.BENCHMARK_INVALID, known.optional))
    kept = _kept(rows, counted)
    pairs = list(kept if published else _different(kept))
    return _distinct(path, _some(path, pairs, counted, "scored"))


def read_labelled(path: Path, layout: PairFormat, limit: int | None, drops: Counter[Drop]) -> list[HeldOut]:
    """The first pairs of a file that can be learnt from, up to the limit; what is left out on the way there is counted.

    Nothing is to be learnt from two answers that are equal: one of them would be called worse all the same. Nor from a pair twice.
    """
    known = LAYOUTS[layout]
    rows = known.pairs(file_rows(path, known.columns, Reason.BENCHMARK_INVALID, known.optional))
    pairs = islice(_kept(_learnable(rows), drops), limit)
    return _distinct(path, _some(path, list(pairs), drops, "learnt from"))


def _some(path: Path, pairs: Sequence[tuple[str, HeldOut]], drops: Counter[Drop], what: str) -> Iterator[tuple[str, str, HeldOut]]:
    """Their places, ids and themselves. If all are dropped, nothing can be done with the file."""
    if drops and not pairs:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
        raise bad(path.name, f"nothing in it can be {what} ({reasons})")
    return ((place, pair["id"], pair) for place, pair in pairs)


def _learnable(rows: Iterable[tuple[str, HeldOut | Drop]]) -> Iterator[tuple[str, HeldOut | Drop]]:
    """Pairs of different answers, each once. Texts are remembered by their digests."""
    seen: set[str] = set()
    for place, pair in rows:
        yield place, pair if isinstance(pair, Drop) else _against(pair, seen) or pair


def _against(pair: HeldOut, seen: set[str]) -> Drop | None:
    if normal(pair["chosen"]) == normal(pair["rejected"]):
        return Drop.SAME_ANSWER
    name = digest(canonical_json([pair["instruction"], pair["chosen"], pair["rejected"]]))
    if name in seen:
        return Drop.DUPLICATE
    seen.add(name)
    return None


def _kept(rows: Iterable[tuple[str, HeldOut | Drop]], drops: Counter[Drop]) -> Iterator[tuple[str, HeldOut]]:
    for place, pair in rows:
        if isinstance(pair, Drop):
            drops[pair] += 1
        else:
            yield place, pair


def _different(pairs: Iterable[tuple[str, HeldOut]]) -> Iterator[tuple[str, HeldOut]]:
    for place, pair in pairs:
        if pair["chosen"] == pair["rejected"]:
            raise bad(place, "chosen and rejected are the same")
        yield place, pair


def read_contests(path: Path) -> list[Contest]:
    """All items of RewardBench 2: one right and three wrong answers, but for Ties, which have several right ones."""
    rows = file_rows(path, CONTEST_COLUMNS, Reason.BENCHMARK_INVALID)
    found = ((place, contest(place, row)) for place, row in rows)
    return _distinct(path, ((place, contest.id, contest) for place, contest in found))


def _distinct(path: Path, items: Iterable[tuple[str, str, T]]) -> list[T]:
    """All items. Their ids differ."""
    known = dict[str, T]()
    for place, name, item in items:
        if name in known:
            raise bad(place, f"id {name} has been used before")
        known[name] = item
    if not known:
        raise bad(path.name, "it has no rows")
    return list(known.values())
