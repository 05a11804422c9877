"""The scores of a judge, from what was stored, whoever judged it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from selftrain.api.records import BenchmarkResult, Order, Shard, Verdict
from selftrain.api.v1alpha1 import Benchmark
from selftrain.method import contests
from selftrain.method.contests import Contest
from selftrain.method.official import official
from selftrain.method.pairs import HeldOut, has_winner
from selftrain.method.questions import Heard
from selftrain.method.scoring import Ruling, score
from selftrain.method.verdict import READINGS
from selftrain.method.votes import majority
from selftrain.workers.context import Context
from selftrain.workers.rows import count_rows, read_rows

Items = Mapping[str, Sequence[HeldOut] | Sequence[Contest]]
"""By benchmark."""
Words = Mapping[str, Mapping[str, Sequence[Heard]]]
"""What was heard, by item and by how its answers were shown."""


def seed_votes(context: Context, entry: Benchmark) -> int | None:
    """Votes by which the seed is scored once more; with several votes its own score is that already."""
    return context.work.spec.evaluate.seed_votes if context.work.iteration == 0 and entry.votes == 1 else None


def results(context: Context, done: Mapping[int, Shard], items: Items) -> Iterator[BenchmarkResult]:
    """A result for each benchmark."""
    own, again = _heard(context, done)
    for entry in context.work.spec.evaluate.benchmarks:
        result = _result(entry, entry.votes, items[entry.name], own[entry.name])
        if votes := seed_votes(context, entry):
            result = result.model_copy(update={"voted": _result(entry, votes, items[entry.name], again[entry.name])})
        yield result


def _heard(context: Context, done: Mapping[int, Shard]) -> tuple[Mapping[str, Words], Mapping[str, Words]]:
    """All judgments by benchmark: its own votes, and those of the seed once more."""
    votes = {entry.name: entry.votes for entry in context.work.spec.evaluate.benchmarks}
    own, again = _by_benchmark(), _by_benchmark()
    parts = [done[shard].part for shard in sorted(done)]
    for row in read_rows(context.store, parts, context.scratch, 0, count_rows(parts)):
        words = own if row["sample"] < votes[row["benchmark"]] else again
        heard = Heard(row["verdict"], READINGS[contests.prompt_of(row["order"])].lenient(row["trace"]))
        words[row["benchmark"]][row["pair_id"]][row["order"]].append(heard)
    return own, again


def _by_benchmark() -> defaultdict[str, defaultdict[str, defaultdict[str, list[Heard]]]]:
    return defaultdict(lambda: defaultdict(lambda: defaultdict(list)))


def _result(entry: Benchmark, votes: int, items: Sequence[HeldOut] | Sequence[Contest], words: Words) -> BenchmarkResult:
    pairs = [item for item in items if not isinstance(item, Contest)]
    if not pairs:
        held = [(item, words[item.id]) for item in items if isinstance(item, Contest)]
        return contests.result(entry.name, votes, entry.mode, held)
    rulings = [_ruling(pair, order, words[pair["id"]][order.value]) for pair in pairs for order in Order]
    won = {pair["id"] for pair in pairs if has_winner(pair)}
    people = {pair["id"]: pair.get("people", []) for pair in pairs}
    return score(entry.name, votes, [ruling for ruling in rulings if ruling.id in won], official(entry.format, rulings, people))


def _ruling(pair: HeldOut, order: Order, heard: Sequence[Heard]) -> Ruling:
    return Ruling(
        pair["id"], pair["subset"] or "", order,
        verdict=_verdict(one.strict for one in heard),
        chosen_length=len(pair["chosen"]),
        rejected_length=len(pair["rejected"]),
        lenient=_verdict(one.lenient for one in heard),
        disagreements=sum(one.strict != one.lenient for one in heard),
    )  # fmt: skip


def _verdict(votes: Iterable[str | None]) -> Verdict | None:
    said = majority(votes)
    return None if said is None else Verdict(said)
