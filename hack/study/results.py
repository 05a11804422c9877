"""The page of results from records: counts pooled over seeds, intervals, and paired tests.

A held-out pair is one item in both orders and for all seeds, so an interval says how much other pairs would change. What other seeds would
is seen in the seeds' own numbers beside it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from selftrain.api.records import Order
from selftrain.method.stats import effective, paired, wilson
from selftrain.report.markdown import share, table
from study.experiments import Experiment
from study.worlds import held_out_pairs

KINDS = ("near-miss", "off-topic")
Hits = dict[tuple[int, str, int], bool]
"""Whether a judgment was right, by (seed, pair, order)."""
Records = Mapping[str, Mapping[str, Any]]
Counts = Sequence[tuple[int, int]]
"""Of each item how many are right, and of how many."""
PAPER = {"demo": "paper", "unseen": "unseen-paper"}
"""The experiment with the paper's recipe, by family of tasks."""
IMPROVED = {"demo": "improved", "unseen": "unseen-improved"}
"""The one with the recipe that the others take apart."""


class Share(NamedTuple):
    """Some of all, and how many independent ones would be as uncertain."""

    part: int
    total: int
    independent: float

    @classmethod
    def by_pair(cls, judged: Iterable[tuple[str, bool]]) -> "Share":
        """What is right, each with its pair."""
        pairs: defaultdict[str, list[bool]] = defaultdict(list)
        for pair, right in judged:
            pairs[pair].append(right)
        return cls.of([(sum(right), len(right)) for right in pairs.values()])

    @classmethod
    def of(cls, items: Counts) -> "Share":
        """Of judgments, by item."""
        return cls(sum(part for part, _ in items), sum(total for _, total in items), effective(items))

    @property
    def value(self) -> float:
        return self.part / self.total

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.value * self.independent, self.independent)

    def __str__(self) -> str:
        return f"{self.part}/{self.total} = {share(self.part, self.total, self.interval)}" if self.total else "none"


class Traces(NamedTuple):
    """What judges wrote. Records count by kind and not by pair, so there is no interval."""

    all: int
    solved: int
    lookups: int
    """Of the solved. A judge that calls the first answer right whatever it is looks up half of them."""


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

    def right(self, kind: str | None = None) -> Share:
        """Right judgments; of the pairs with one kind of wrong answer, if it is given."""
        return Share.by_pair((pair, right) for (_, pair, _), right in self.hits.items() if kind in (None, kinds(self.family)[pair]))

    @property
    def by_seed(self) -> Sequence[int]:
        """Right judgments of each seed."""
        seeds = sorted({seed for seed, _, _ in self.hits})
        return [sum(right for (own, _, _), right in self.hits.items() if own == seed) for seed in seeds]

    def traces(self, group: str, kind: str | None = None) -> Traces:
        """The traces judged, learnt or evaluated; of one kind of worse answer, if it is given."""
        counts = [of for entry in self.entries for name, of in entry.get(group, {}).items() if kind in (None, name)]
        return Traces(*(sum(of[name] for of in counts) for name in ("traces", "solved", "look-ups")))

    @property
    def strict(self) -> Share:
        """Pairs that are right in both orders."""
        first = [(seed, pair) for seed, pair, order in self.hits if order == 0]
        return Share.by_pair((pair, self.hits[seed, pair, 0] and self.hits[seed, pair, 1]) for seed, pair in first)

    @property
    def first(self) -> bool:
        """Whether this is the first of its judges' benchmarks. What is not about a benchmark is told here."""
        first: str = next(iter(self.entries[0]["hits"]))
        return self.benchmark == first

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
                shown = name if number else seed_judge(family)
                found.setdefault((shown, number, benchmark), Row(shown, number, benchmark, family, entries, right))
    return sorted(found.values(), key=lambda row: row.iteration > 0)


def seed_judge(family: str) -> str:
    """What the seed is called among the judges."""
    return f"seed judge ({family})"


def by_judge(found: Iterable[Row]) -> dict[tuple[str, int], Row]:
    """Each judge on its first benchmark, by name and iteration."""
    return {(row.name, row.iteration): row for row in found if row.first}


def page(found: Sequence[Row], done: Sequence[Experiment], records: Records) -> str:
    """Markdown with everything that the records say."""
    sections = {
        "Verdicts on held-out pairs": scores(found),
        "Votes": votes(found),
        "Look-ups on held-out pairs": held_out_traces(found),
        "What it took": costs(found),
        "Pairs and traces by the world's truth": data_tables(done, records),
    }
    return "# The study's numbers\n\n" + "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items()) + "\n"


def scores(found: Sequence[Row]) -> str:
    """A line a judge, those that do not judge first. Tests are by pair: on how many more is right, and on how many less."""
    judges = by_judge(found)
    last = {row.family: row for row in judges.values() if row.name == PAPER[row.family]}
    tests = ("against the seed", "against paper's last", "against improved, same iteration")
    head = ["judge", "iteration", "seeds", "right (95 %)", "by seed", *KINDS, "both orders right", "says A", *tests]
    lines = (
        _score(row, judges.get((seed_judge(row.family), 0)), last.get(row.family), judges.get((IMPROVED[row.family], row.iteration)))
        for row in judges.values()
    )
    return table(head, [*(line for family in sorted({row.family for row in found}) for line in _blind(family)), *lines])


def _blind(family: str) -> Iterable[list[str]]:
    """What can be had without judging. Each says of both orders the same, so a pair has one or both right, or none."""
    for name, right in BLIND.items():
        all_of = [(right(pair), len(Order)) for pair in held_out_pairs(family)]
        parts = ([(right(pair), len(Order)) for pair in held_out_pairs(family) if pair["subset"] == kind] for kind in KINDS)
        yield [f"{name} ({family})", "", "", str(Share.of(all_of)), "", *(str(Share.of(part)) for part in parts), *[""] * 5]


def _longer(pair: Mapping[str, str]) -> int:
    return 2 * (len(pair["chosen"]) > len(pair["rejected"]))


BLIND: dict[str, Callable[[Mapping[str, str]], int]] = {"random, always A": lambda _: 1, "the longer answer": _longer}


def votes(found: Sequence[Row]) -> str:
    """Majorities on some of the held-out pairs, against one judgment of the same pairs."""
    one = by_judge(found)
    head = ["judge", "iteration", "benchmark", "right (95 %)", *KINDS, "against one judgment"]
    return table(head, (_vote(row, one[row.name, row.iteration]) for row in found if not row.first))


def _vote(row: Row, one: Row) -> list[str]:
    return [row.name, str(row.iteration), row.benchmark, str(row.right()), *(str(row.right(kind)) for kind in KINDS), _against(row, one)]


def _score(row: Row, seed: Row | None, *others: Row | None) -> list[str]:
    return [
        row.name,
        str(row.iteration),
        str(len(row.entries)),
        str(row.right()),
        ", ".join(map(str, row.by_seed)),
        *(str(row.right(kind)) for kind in KINDS),
        str(row.strict),
        f"{row.total('a_verdicts') / len(row.hits):.2f}",
        _against_seed(row, seed),
        *(_against(row, other) for other in others),
    ]


def held_out_traces(found: Sequence[Row]) -> str:
    """How many traces on held-out pairs solve the task, and how many of these look the answer up.

    On near misses nothing else leads to the right verdict but chance, which looks up half of what is solved.
    """
    head = ["judge", "iteration", *(f"{kind}: {what}" for kind in KINDS for what in ("solved", "of these look-ups"))]
    return table(
        head, ([row.name, str(row.iteration), *(cell for kind in KINDS for cell in _solving(row, kind))] for row in found if row.first)
    )


def _solving(row: Row, kind: str) -> tuple[str, str]:
    found = row.traces("evaluated", kind)
    return _fraction(found.solved, found.all), _fraction(found.lookups, found.solved)


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


def _against_seed(row: Row, seed: Row | None) -> str:
    """Every seed of a run begins with the same judge."""
    known = {(pair, order): right for (_, pair, order), right in seed.hits.items()} if seed else {}
    return _paired(row.hits, {key: known[key[1:]] for key in row.hits if key[1:] in known}) if row.iteration else ""


def _against(row: Row, other: Row | None) -> str:
    return _paired(row.hits, other.hits if other else {})


def _paired(ours: Hits, theirs: Hits) -> str:
    common = ours.keys() & theirs.keys()
    if not common or ours == theirs:
        return ""
    test = paired((key[1], ours[key], theirs[key]) for key in common)
    return f"+{test['wins']} -{test['losses']}, p = {test['p']:.1g}"
