"""evaluate: judgments of held-out pairs in both orders, the scores made from them, and the judge's model card."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selftrain.api.records import VALIDATION, BenchmarkResult, Order, Shard, Verdict
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Evaluate
from selftrain.method.official import official
from selftrain.method.pairs import shown
from selftrain.method.scoring import Ruling, score
from selftrain.method.verdict import parse_verdict
from selftrain.method.votes import majority
from selftrain.planning.steps import judge_iteration
from selftrain.prompts import resolve
from selftrain.storage.benchmarks import HeldOut
from selftrain.storage.tables import EVALUATIONS
from selftrain.workers.card import write_card
from selftrain.workers.contamination import contamination
from selftrain.workers.context import Context, judge
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.exams import Exam, read_benchmarks, read_validation
from selftrain.workers.rows import count_rows, read_rows
from selftrain.workers.sampling import TOO_LONG, Load, Sampled, load_sampler
from selftrain.workers.shards import Made, Row, ShardedStage, bounds, cut, digests

UNFIT = [Completion("", TOO_LONG, 0)]
"""What stands for the judgments of a prompt that does not fit: no verdict, which is wrong. A judge gains nothing by it."""


@dataclass(frozen=True)
class Asked:
    """One held-out pair in one order."""

    exam: Exam
    pair: HeldOut
    order: Order


def run(context: Context, load: Load = load_sampler) -> None:
    """Score a judge on all benchmarks, and on the run's own held-out pairs. Shards that are committed are not judged again."""
    settings, template = context.work.spec.evaluate, resolve(context.work.spec.prompts, "judge")
    benchmarks, own = read_benchmarks(context), read_validation(context)
    exams = [*benchmarks, *own]
    held_out = [(exam, pair) for exam in exams for pair in exam.pairs]
    model_name, model = judge(context, judge_iteration(context.work.step))
    votes = max((exam.votes for exam in exams), default=1)
    stage = ShardedStage(
        context, EVALUATIONS, cut(len(held_out), settings.shards, len(Order) * votes),
        inputs={model_name: model.digest, **{exam.source: exam.digest for exam in exams}},
        prompts=digests({"judge": template}),
    )  # fmt: skip
    if missing := stage.missing(settings.parallelism):
        sampler = load(model.path, settings, [template])

        def batches() -> Iterator[tuple[tuple[int, list[Asked]], list[Request]]]:
            for shard in stage.undrained(missing):
                start, stop = bounds(len(held_out), stage.shards, shard)
                asked = [Asked(exam, pair, order) for exam, pair in held_out[start:stop] for order in Order]
                yield (
                    (shard, asked),
                    [sampler.request(template, _values(ask), _seed(context, ask), _sampling(settings, ask.exam.votes)) for ask in asked],
                )

        with context.drain.deferred():
            for (shard, asked), sampled in sampler.sample(batches()):
                stage.write(shard, made(asked, sampled))
    if (done := stage.complete()) is not None:
        found = contamination(context, {exam.name: exam.pairs for exam in benchmarks})
        results = {result.benchmark: result for result in _results(context, done, exams)}
        told = [results[exam.name].model_copy(update={"overlap": found.get(exam.name)}) for exam in benchmarks]
        manifest = stage.manifest(done).model_copy(update={"results": told, "validation": results.get(VALIDATION)})
        stage.commit(manifest.model_copy(update={"card": write_card(context, manifest)}))


def made(asked: list[Asked], sampled: Sampled) -> Made:
    """The rows of a shard, one a judgment."""
    rows = list(_rows(asked, sampled))
    counts = {"ordered": len(asked), "judgments": len(rows), "unparsed": sum(row["verdict"] is None for row in rows)}
    return Made(rows, counts, {}, sampled.tokens, sampled.seconds)


def _rows(asked: list[Asked], sampled: Sampled) -> Iterator[Row]:
    for ask, samples in zip(asked, sampled.completions, strict=True):
        for number, sample in enumerate(samples or UNFIT):
            verdict = parse_verdict(sample.text)
            yield {
                "benchmark": ask.exam.name,
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


def _results(context: Context, done: Mapping[int, Shard], exams: Sequence[Exam]) -> Iterator[BenchmarkResult]:
    """Scores from what was stored, whoever judged it."""
    votes: defaultdict[tuple[str, str, str], list[Verdict | None]] = defaultdict(list)
    parts = [done[shard].part for shard in sorted(done)]
    for row in read_rows(context.store, parts, context.scratch, 0, count_rows(parts)):
        votes[row["benchmark"], row["pair_id"], row["order"]].append(Verdict(row["verdict"]) if row["verdict"] else None)
    for exam in exams:
        rulings = [
            Ruling(
                pair["id"], pair["subset"] or "", order, majority(votes[exam.name, pair["id"], order.value]),
                len(pair["chosen"]), len(pair["rejected"]),
            )
            for pair in exam.pairs
            for order in Order
        ]  # fmt: skip
        yield score(exam.name, exam.votes, rulings, official(exam.layout, rulings))


def _values(asked: Asked) -> dict[str, str]:
    return shown(asked.pair["instruction"], asked.pair["chosen"], asked.pair["rejected"], asked.order)


def _seed(context: Context, asked: Asked) -> int:
    return seed_of(context.work.spec.seed, "evaluate", context.work.iteration, asked.exam.name, asked.pair["id"], asked.order)


def _sampling(settings: Evaluate, votes: int) -> Sampling:
    """One vote is greedy (paper, single judgment); more are sampled."""
    if votes == 1:
        return Sampling(1, 0.0, 1.0, settings.max_tokens)
    return Sampling(votes, float(settings.temperature), float(settings.top_p), settings.max_tokens)
