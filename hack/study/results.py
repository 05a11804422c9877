"""The page of results from records: counts pooled over seeds, intervals, and paired tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from selftrain.api.records import Order
from selftrain.method.stats import paired, wilson
from selftrain.report.markdown import table
from study.experiments import Experiment
from study.worlds import held_out_pairs

KINDS = ("near-miss", "off-topic")
Hits = dict[tuple[int, str, int], bool]
"""Whether a judgment was right, by (seed, pair, order)."""
Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """One judge of an experiment on one benchmark, all its seeds together."""

    name: str
    iteration: int
    benchmark: str
    family: str
    entries: Sequence[Mapping[str, Any]]
    """Its iteration in the records, one a seed."""
    hits: Hits

    def share(self, kind: str | None = None) -> tuple[int, int]:
        """Right judgments and all; of the pairs with one kind of wrong answer, if it is given."""
        found = [right for (_, pair, _), right in self.hits.items() if kind in (None, kinds(self.family)[pair])]
        return sum(found), len(found)

    def lookups(self, group: str, kind: str | None = None) -> tuple[int, int]:
        """Look-ups and all traces among those judged, learnt or evaluated; of one kind of worse answer, if it is given."""
        counts = [of for entry in self.entries for name, of in entry.get(group, {}).items() if kind in (None, name)]
        return sum(of["look-ups"] for of in counts), sum(of["traces"] for of in counts)

    @property
    def strict(self) -> tuple[int, int]:
        """Pairs that are right in both orders, and all."""
        first = [(seed, pair) for seed, pair, order in self.hits if order == 0]
        return sum(self.hits[*key, 0] and self.hits[*key, 1] for key in first), len(first)

    @property
    def first(self) -> bool:
        """Whether this is the first of its judges' benchmarks. What is not about a benchmark is told here."""
        return self.benchmark == next(iter(self.entries[0]["hits"]))

    def total(self, name: str) -> int:
        return sum(entry[name] or 0 for entry in self.entries)


@cache
def kinds(family: str) -> dict[str, str]:
    """How the rejected answer of each held-out pair is wrong."""
    return {pair["id"]: pair["subset"] for pair in held_out_pairs(family)}


def rows(done: Iterable[Experiment], records: Records) -> list[Row]:
    """All judges; the seed judge once for each family and benchmark, since every run has the same."""
    grouped: dict[str, list[Experiment]] = {}
    for experiment in done:
        grouped.setdefault(experiment.name, []).append(experiment)
    found: dict[tuple[str, int, str], Row] = {}
    for name, own in grouped.items():
        by_iteration = zip(*(records[experiment.run]["iterations"] for experiment in own), strict=False)
        for number, judges in enumerate(by_iteration):
            family, entries = own[0].family, judges if number else judges[:1]
            for benchmark in entries[0]["hits"]:
                right = {
                    (experiment.seed, pair, order): digits[order] == "1"
                    for experiment, entry in zip(own, entries, strict=False)
                    for pair, digits in entry["hits"][benchmark].items()
                    for order in range(len(Order))
                }
                shown = name if number else f"seed judge ({family})"
                found.setdefault((shown, number, benchmark), Row(shown, number, benchmark, family, entries, right))
    return sorted(found.values(), key=lambda row: row.iteration > 0)


def page(found: Sequence[Row], done: Sequence[Experiment], records: Records) -> str:
    """Markdown with everything that the records say."""
    return "\n\n".join([scores(found), held_out_traces(found), costs(found), data_tables(done, records)]) + "\n"


def scores(found: Sequence[Row]) -> str:
    """A line a judge. The last column compares with the family's first experiment at its last iteration, on the same judgments."""
    against: dict[str, Row] = {}
    for row in found:
        known = against.get(row.family)
        if row.iteration and (known is None or known.name == row.name):
            against[row.family] = row
    head = ["judge", "iteration", "seeds", "benchmark", "right (95 %)", *KINDS, "both orders right", "says A", "against paper"]
    return table(head, (_score(row, against[row.family]) for row in found))


def _score(row: Row, against: Row) -> list[str]:
    right, total = row.share()
    low, high = wilson(right, total)
    judgments = sum(2 * len(entry["hits"][row.benchmark]) for entry in row.entries)
    return [
        row.name,
        str(row.iteration),
        str(len(row.entries)),
        row.benchmark,
        f"{right}/{total} = {right / total:.3f} ({low:.3f} to {high:.3f})",
        *(_fraction(*row.share(kind)) for kind in KINDS),
        _fraction(*row.strict),
        f"{row.total('a_verdicts') / judgments:.2f}" if row.first else "",
        _paired(row.hits, against.hits),
    ]


def held_out_traces(found: Sequence[Row]) -> str:
    """How many traces on held-out pairs look the answer up: on near misses nothing else leads to the right verdict but chance."""
    head = ["judge", "iteration", *(f"{kind}: look-ups" for kind in KINDS)]
    lines = ([row.name, str(row.iteration), *(_fraction(*row.lookups("evaluated", kind)) for kind in KINDS)] for row in found if row.first)
    return table(head, lines)


def costs(found: Sequence[Row]) -> str:
    """What was judged and kept, and the seconds of each stage."""
    head = ["judge", "iteration", "judgments", "kept", "seconds"]
    return table(head, (_cost(row) for row in found if row.iteration and row.first))


def _cost(row: Row) -> list[str]:
    return [row.name, str(row.iteration), _each(row, "judgments"), _each(row, "kept"), _seconds(row)]


def _each(row: Row, name: str) -> str:
    return ", ".join(str(entry[name]) for entry in row.entries)


def _seconds(row: Row) -> str:
    return "; ".join(", ".join(f"{stage} {seconds:.0f}" for stage, seconds in entry["seconds"].items()) for entry in row.entries)


def data_tables(done: Sequence[Experiment], records: Records) -> str:
    """What the world's truth says of pairs and traces, by kind of worse answer."""
    head = ["run", "kind", "pairs", "chosen true", "rejected true", "iteration", "judged: solved, look-ups", "learnt: solved, look-ups"]
    return table(head, (line for experiment in done for line in _data(experiment.run, records[experiment.run])))


def _data(run: str, record: Mapping[str, Any]) -> Iterable[list[str]]:
    for kind, counts in record["pairs"].items():
        for entry in record["iterations"][1:]:
            shown = (_traces(entry[group].get(kind)) for group in ("judged", "learnt"))
            yield [run, kind, *(str(counts[name]) for name in ("pairs", "chosen true", "rejected true")), str(entry["iteration"]), *shown]


def _traces(counts: Mapping[str, int] | None) -> str:
    return ", ".join(_fraction(counts[name], counts["traces"]) for name in ("solved", "look-ups")) if counts else "none"


def _fraction(part: int, total: int) -> str:
    return f"{part}/{total} = {part / total:.2f}" if total else "none"


def _paired(ours: Hits, theirs: Hits) -> str:
    common = ours.keys() & theirs.keys()
    if not common or ours == theirs:
        return ""
    test = paired((ours[key], theirs[key]) for key in common)
    return f"+{test['wins']} -{test['losses']}, p = {test['p']:.1g}"
