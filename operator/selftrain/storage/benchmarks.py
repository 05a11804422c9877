"""Benchmarks as they are published, read into held-out pairs.

A row that cannot be scored is an error and no drop: scores must mean what they say. Ties of HelpSteer2, which say that neither
answer is better, are the one exception.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.v1alpha1 import PairFormat
from selftrain.method.benchmarks import judgebench, rewardbench, rewardbench2, rmbench
from selftrain.method.contests import Contest
from selftrain.method.pairs import HeldOut
from selftrain.storage.tables import Placed, file_rows, invalid, utf8

T = TypeVar("T")
CONTEST_COLUMNS = ("id", "prompt", "chosen", "rejected", "subset")


@dataclass(frozen=True)
class Layout:
    """A published file: its columns, and how its rows become pairs."""

    columns: Sequence[str]
    pairs: Callable[[Iterable[Placed]], Iterator[tuple[str, HeldOut]]]
    optional: Sequence[str] = ()


def read_items(path: Path, layout: PairFormat) -> Sequence[HeldOut] | Sequence[Contest]:
    """All items of a benchmark. Raises UserError naming the row that is wrong."""
    return read_contests(path) if layout is PairFormat.REWARDBENCH2 else read_benchmark(path, layout)


def read_benchmark(path: Path, layout: PairFormat = PairFormat.PAIRS) -> list[HeldOut]:
    """All held-out pairs of a file. Raises UserError naming the row that is wrong."""
    known = LAYOUTS[layout]
    rows = file_rows(path, known.columns, Reason.BENCHMARK_INVALID, known.optional)
    return _distinct(path, ((place, pair["id"], {pair["chosen"]} & {pair["rejected"]}, pair) for place, pair in known.pairs(rows)))


def read_contests(path: Path) -> list[Contest]:
    """All items of RewardBench 2: one right and three wrong answers, but for Ties, which have several right ones."""
    rows = file_rows(path, CONTEST_COLUMNS, Reason.BENCHMARK_INVALID)
    found = ((place, _contest(place, row)) for place, row in rows)
    return _distinct(path, ((place, contest.id, {*contest.right} & {*contest.wrong}, contest) for place, contest in found))


def _distinct(path: Path, items: Iterable[tuple[str, str, set[str], T]]) -> list[T]:
    """All items. Their ids differ, and none has an answer that is both right and wrong."""
    known = dict[str, T]()
    for place, name, both, item in items:
        if name in known:
            raise _bad(place, f"id {name} has been used before")
        if both:
            raise _bad(place, "chosen and rejected are the same")
        known[name] = item
    if not known:
        raise _bad(path.name, "it has no rows")
    return list(known.values())


def _contest(place: str, row: Mapping[str, Any]) -> Contest:
    subset, name = _text(row, "subset", place), _id(row, "id", place)
    if subset not in rewardbench2.COUNTS:
        raise _bad(place, f"RewardBench 2 has no subset {subset!r}")
    right, wrong = (_texts(row, column, place) for column in ("chosen", "rejected"))
    if subset == rewardbench2.TIES:
        if not rewardbench2.TIES_ID.fullmatch(name):
            raise _bad(place, f"id {name!r} of a Ties row is neither ref:N nor tied:N")
    elif (len(right), len(right) + len(wrong)) != (1, rewardbench2.ANSWERS):
        raise _bad(place, f"{len(right)} chosen and {len(wrong)} rejected answers; outside Ties there are one and three")
    return Contest(f"{subset}/{name}", subset, _text(row, "prompt", place), right, wrong)


def _plain(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    for place, row in rows:
        instruction, chosen, rejected = (_text(row, column, place) for column in ("instruction", "chosen", "rejected"))
        subset = row.get("subset")
        yield place, HeldOut(
            id=_id(row, "id", place), instruction=instruction, chosen=chosen, rejected=rejected,
            subset=None if subset is None else str(subset),
        )  # fmt: skip


def _rewardbench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    for place, row in rows:
        subset = _text(row, "subset", place)
        if subset not in rewardbench.SUBSETS:
            raise _bad(place, f"RewardBench has no subset {subset!r}")
        prompt, chosen, rejected = (_text(row, column, place) for column in ("prompt", "chosen", "rejected"))
        name = f"{subset}/{_id(row, 'id', place)}"
        yield place, HeldOut(id=name, instruction=prompt, chosen=chosen, rejected=rejected, subset=subset)


def _judgebench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    for place, row in rows:
        source, label = _text(row, "source", place), _text(row, "label", place)
        if (part := judgebench.part_of(source)) is None:
            raise _bad(place, f"JudgeBench has no source {source!r}")
        if label not in judgebench.FLIPPED:
            raise _bad(place, f"label is {label!r}, neither A>B nor B>A")
        better, worse = ("response_A", "response_B") if label == "A>B" else ("response_B", "response_A")
        yield place, HeldOut(
            id=_id(row, "pair_id", place), instruction=_text(row, "question", place),
            chosen=_text(row, better, place), rejected=_text(row, worse, place), subset=part,
        )  # fmt: skip


def _rmbench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    """Nine pairs an item: every style of the right answer against every style of the wrong one."""
    for place, row in rows:
        domain, name, prompt = _text(row, "domain", place), _id(row, "id", place), _text(row, "prompt", place)
        if (part := rmbench.part_of(domain)) is None:
            raise _bad(place, f"RM-Bench has no domain {domain!r}")
        chosen, rejected = (_styles(row, column, place) for column in ("chosen", "rejected"))
        for i in rmbench.STYLES:
            for j in rmbench.STYLES:
                key = rmbench.cell_name(f"{domain}/{name}", i, j)
                yield place, HeldOut(id=key, instruction=prompt, chosen=chosen[i], rejected=rejected[j], subset=part)


def _helpsteer2(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    """Two rows a pair, one after the other; the more helpful answer is the better one, and equally helpful ones are no pair."""
    remaining = iter(rows)
    while both := list(islice(remaining, 2)):
        place, one = both[0]
        if len(both) == 1 or _text(one, "prompt", place) != _text(both[1][1], "prompt", both[1][0]):
            raise _bad(place, "the next row has another prompt; two rows make a pair")
        other = both[1][1]
        marks = [_number(row, "helpfulness", where) for where, row in both]
        if marks[0] == marks[1]:
            continue
        better, worse = (one, other) if marks[0] > marks[1] else (other, one)
        yield place, HeldOut(
            id=place.rpartition(" ")[2], instruction=_text(one, "prompt", place),
            chosen=_text(better, "response", place), rejected=_text(worse, "response", place), subset=None,
        )  # fmt: skip


def _text(row: Mapping[str, Any], column: str, place: str) -> str:
    text = row.get(column)
    if not isinstance(text, str) or not text.strip():
        raise _bad(place, f"column {column} has no text")
    utf8(text, place, Reason.BENCHMARK_INVALID)
    return text


def _styles(row: Mapping[str, Any], column: str, place: str) -> list[str]:
    texts = row.get(column)
    if not isinstance(texts, list) or len(texts) != len(rmbench.STYLES):
        raise _bad(place, f"column {column} has no list of three texts")
    return _texts(row, column, place)


def _texts(row: Mapping[str, Any], column: str, place: str) -> list[str]:
    texts = row.get(column)
    if not isinstance(texts, list) or not texts:
        raise _bad(place, f"column {column} has no list of texts")
    return [_text({column: text}, column, place) for text in texts]


def _id(row: Mapping[str, Any], column: str, place: str) -> str:
    if not isinstance(row.get(column), str | int) or row[column] == "":
        raise _bad(place, f"column {column} has neither a text nor a number")
    return str(row[column])


def _number(row: Mapping[str, Any], column: str, place: str) -> float:
    value = row.get(column)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _bad(place, f"column {column} has no number")
    return float(value)


def _bad(place: str, what: str) -> UserError:
    return invalid(Reason.BENCHMARK_INVALID, f"{place}: {what}")


LAYOUTS = {
    PairFormat.PAIRS: Layout(("instruction", "chosen", "rejected", "id"), _plain, ("subset",)),
    PairFormat.REWARDBENCH: Layout(("prompt", "chosen", "rejected", "subset", "id"), _rewardbench),
    PairFormat.JUDGEBENCH: Layout(("pair_id", "source", "question", "response_A", "response_B", "label"), _judgebench),
    PairFormat.RM_BENCH: Layout(("id", "prompt", "chosen", "rejected", "domain"), _rmbench),
    PairFormat.HELPSTEER2: Layout(("prompt", "response", "helpfulness"), _helpsteer2),
}
