"""evaluate: judgments of held-out pairs in both orders, and the scores made from them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from selftrain.api.records import BenchmarkResult, Order, Shard, Verdict
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Benchmark, Evaluate
from selftrain.method.official import official
from selftrain.method.pairs import shown
from selftrain.method.scoring import Ruling, score
from selftrain.method.verdict import parse_lenient, parse_verdict
from selftrain.method.votes import majority
from selftrain.planning.steps import judge_iteration
from selftrain.prompts import resolve
from selftrain.storage.benchmarks import HeldOut, read_benchmark
from selftrain.storage.tables import EVALUATIONS
from selftrain.workers.context import Context, benchmark, judge
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.rows import count_rows, read_rows
from selftrain.workers.sampling import TOO_LONG, Load, Sampled, load_sampler
from selftrain.workers.shards import Made, Row, ShardedStage, bounds, cut, digests

UNFIT = [Completion("", TOO_LONG, 0)]
"""What stands for the judgments of a prompt that does not fit: no verdict, which is wrong. A judge gains nothing by it."""


@dataclass(frozen=True)
class Asked:
    """One held-out pair in one order."""

    benchmark: Benchmark
    pair: HeldOut
    order: Order
    votes: int
    first: int = 0
    """Number of the first sample. The seed's votes come after the benchmark's own."""


class Heard(NamedTuple):
    """One judgment, by both readings."""

    strict: Verdict | None
    lenient: Verdict | None


def run(context: Context, load: Load = load_sampler) -> None:
    """Score a judge on all benchmarks. Shards that are committed are not judged again."""
    settings, template = context.work.spec.evaluate, resolve(context.work.spec.prompts, "judge")
    files = {entry.name: benchmark(context, entry.name, entry.uri) for entry in settings.benchmarks}
    pairs = {entry.name: read_benchmark(files[entry.name].path, entry.format) for entry in settings.benchmarks}
    held_out = [(entry, pair) for entry in settings.benchmarks for pair in pairs[entry.name]]
    model_name, model = judge(context, judge_iteration(context.work.step))
    votes = max((entry.votes + (_seed_votes(context, entry) or 0) for entry in settings.benchmarks), default=1)
    stage = ShardedStage(
        context, EVALUATIONS, cut(len(held_out), settings.shards, len(Order) * votes),
        inputs={model_name: model.digest, **{f"benchmark/{name}": file.digest for name, file in files.items()}},
        prompts=digests({"judge": template}),
    )  # fmt: skip
    if missing := stage.missing(settings.parallelism):
        sampler = load(model.path, settings, [template])

        def batches() -> Iterator[tuple[tuple[int, list[Asked]], list[Request]]]:
            for shard in stage.undrained(missing):
                start, stop = bounds(len(held_out), stage.shards, shard)
                asked = [ask for entry, pair in held_out[start:stop] for ask in _asked(context, entry, pair)]
                requests = [sampler.request(template, _values(ask), _seed(context, ask), _sampling(settings, ask.votes)) for ask in asked]
                yield (shard, asked), requests

        with context.drain.deferred():
            for (shard, asked), sampled in sampler.sample(batches()):
                stage.write(shard, made(asked, sampled))
    if (done := stage.complete()) is not None:
        stage.commit(done, results=list(_results(context, done, settings, pairs)))


def _asked(context: Context, entry: Benchmark, pair: HeldOut) -> Iterator[Asked]:
    for order in Order:
        yield Asked(entry, pair, order, entry.votes)
        if seed_votes := _seed_votes(context, entry):
            yield Asked(entry, pair, order, seed_votes, first=entry.votes)


def _seed_votes(context: Context, entry: Benchmark) -> int | None:
    """Votes by which the seed is scored once more; with several votes its own score is that already."""
    return context.work.spec.evaluate.seed_votes if context.work.iteration == 0 and entry.votes == 1 else None


def made(asked: list[Asked], sampled: Sampled) -> Made:
    """The rows of a shard, one a judgment."""
    rows = list(_rows(asked, sampled))
    counts = {
        "ordered": sum(ask.first == 0 for ask in asked),
        "judgments": len(rows),
        "unparsed": sum(row["verdict"] is None for row in rows),
    }
    return Made(rows, counts, {}, sampled.tokens, sampled.seconds)


def _rows(asked: list[Asked], sampled: Sampled) -> Iterator[Row]:
    for ask, samples in zip(asked, sampled.completions, strict=True):
        for number, sample in enumerate(samples or UNFIT, start=ask.first):
            verdict = parse_verdict(sample.text)
            yield {
                "benchmark": ask.benchmark.name,
                "pair_id": ask.pair["id"],
                "subset": ask.pair["subset"],
                "order": ask.order.value,
                "sample": number,
                "trace": sample.text,
                "verdict": verdict,
                "finish": sample.finish,
                "tokens": sample.tokens,
                "correct": verdict is ask.order.gold,
            }


def _results(
    context: Context, done: Mapping[int, Shard], settings: Evaluate, pairs: Mapping[str, Sequence[HeldOut]]
) -> Iterator[BenchmarkResult]:
    """Scores from what was stored, whoever judged it."""
    heard: defaultdict[tuple[str, bool], defaultdict[tuple[str, str], list[Heard]]] = defaultdict(lambda: defaultdict(list))
    votes = {entry.name: entry.votes for entry in settings.benchmarks}
    parts = [done[shard].part for shard in sorted(done)]
    for row in read_rows(context.store, parts, context.scratch, 0, count_rows(parts)):
        own = row["sample"] < votes[row["benchmark"]]
        strict = Verdict(row["verdict"]) if row["verdict"] else None
        heard[row["benchmark"], own][row["pair_id"], row["order"]].append(Heard(strict, parse_lenient(row["trace"])))
    for entry in settings.benchmarks:
        result = _result(entry, entry.votes, pairs[entry.name], heard[entry.name, True])
        if seed_votes := _seed_votes(context, entry):
            voted = _result(entry, seed_votes, pairs[entry.name], heard[entry.name, False])
            result = result.model_copy(update={"voted": voted})
        yield result


def _result(entry: Benchmark, votes: int, pairs: Sequence[HeldOut], heard: Mapping[tuple[str, str], Sequence[Heard]]) -> BenchmarkResult:
    rulings = [_ruling(pair, order, heard[pair["id"], order.value]) for pair in pairs for order in Order]
    return score(entry.name, votes, rulings, official(entry.format, rulings))


def _ruling(pair: HeldOut, order: Order, heard: Sequence[Heard]) -> Ruling:
    return Ruling(
        pair["id"], pair["subset"] or "", order,
        verdict=majority(one.strict for one in heard),
        chosen_length=len(pair["chosen"]),
        rejected_length=len(pair["rejected"]),
        lenient=majority(one.lenient for one in heard),
        disagreements=sum(one.strict is not one.lenient for one in heard),
    )  # fmt: skip


def _values(asked: Asked) -> dict[str, str]:
    return shown(asked.pair["instruction"], asked.pair["chosen"], asked.pair["rejected"], asked.order)


def _seed(context: Context, asked: Asked) -> int:
    return seed_of(context.work.spec.seed, "evaluate", context.work.iteration, asked.benchmark.name, asked.pair["id"], asked.order)


def _sampling(settings: Evaluate, votes: int) -> Sampling:
    """One vote is greedy (paper, single judgment); more are sampled."""
    if votes == 1:
        return Sampling(1, 0.0, 1.0, settings.max_tokens)
    return Sampling(votes, float(settings.temperature), float(settings.top_p), settings.max_tokens)
