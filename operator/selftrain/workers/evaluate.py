"""evaluate: judgments of held-out items, and the scores made from them. Pairs are judged in both orders."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from selftrain.api.records import Drop, Order
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Benchmark, Evaluate
from selftrain.method.contests import Contest, questions
from selftrain.method.pairs import HeldOut, has_winner, shown
from selftrain.method.questions import Question, prompts_of
from selftrain.method.verdict import READINGS
from selftrain.planning.steps import judge_iteration
from selftrain.prompts import PromptName, Template, resolve
from selftrain.storage.benchmarks import read_items
from selftrain.storage.tables import EVALUATIONS
from selftrain.workers.context import Context, benchmark, judge
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.sampling import TOO_LONG, Load, Sampled, Sampler, load_sampler
from selftrain.workers.scores import Items, results, seed_votes
from selftrain.workers.shards import Made, Row, ShardedStage, bounds, cut, digests

UNFIT = [Completion("", TOO_LONG, 0)]
"""What stands for the judgments of a prompt that does not fit: no verdict, which is wrong. A judge gains nothing by it."""


@dataclass(frozen=True)
class Asked:
    """One question about an item."""

    benchmark: Benchmark
    item: str
    subset: str | None
    question: Question
    votes: int
    first: int = 0
    """Number of the first sample. The seed's votes come after the benchmark's own."""


def run(context: Context, load: Load = load_sampler) -> None:
    """Score a judge on all benchmarks. Shards that are committed are not judged again."""
    settings = context.work.spec.evaluate
    templates: dict[PromptName, Template] = {name: resolve(context.work.spec.prompts, name) for name in prompts_of(settings.benchmarks)}
    files = {entry.name: benchmark(context, entry.name, entry.uri) for entry in settings.benchmarks}
    drops: Counter[Drop] = Counter()
    items = {entry.name: read_items(files[entry.name].path, entry.format, drops) for entry in settings.benchmarks}
    held_out = [(entry, item) for entry in settings.benchmarks for item in items[entry.name]]
    model_name, model = judge(context, judge_iteration(context.work.step))
    stage = ShardedStage(
        context, EVALUATIONS, cut(len(held_out), settings.shards, _judgments(context, items)),
        inputs={model_name: model.digest, **{f"benchmark/{name}": file.digest for name, file in files.items()}},
        prompts=digests(templates),
    )  # fmt: skip
    if missing := stage.missing(settings.parallelism):
        sampler = load(model.path, settings, list(templates.values()))

        def batches() -> Iterator[tuple[tuple[int, list[Asked]], list[Request]]]:
            for shard in stage.undrained(missing):
                start, stop = bounds(len(held_out), stage.shards, shard)
                asked = [ask for entry, item in held_out[start:stop] for ask in asked_about(context, entry, item)]
                yield (shard, asked), [_request(context, sampler, templates, ask) for ask in asked]

        with context.drain.deferred():
            for (shard, asked), sampled in sampler.sample(batches()):
                stage.write(shard, made(asked, sampled))
    if (done := stage.complete()) is not None:
        stage.commit(done, drops=drops, results=list(results(context, done, items)))


def asked_about(context: Context, entry: Benchmark, item: HeldOut | Contest) -> Iterator[Asked]:
    """All questions about an item, each as often as it is voted on."""
    name, subset = (item.id, item.subset) if isinstance(item, Contest) else (item["id"], item["subset"])
    again = seed_votes(context, entry)
    for question in _questions(entry, item):
        yield Asked(entry, name, subset, question, entry.votes)
        if again:
            yield Asked(entry, name, subset, question, again, first=entry.votes)


def _questions(entry: Benchmark, item: HeldOut | Contest) -> Sequence[Question]:
    if isinstance(item, Contest):
        return list(questions(item, entry.mode))
    shows = ((order, shown(item["instruction"], item["chosen"], item["rejected"], order)) for order in Order)
    return [Question(order.value, "judge", values, order.gold if has_winner(item) else None) for order, values in shows]


def _judgments(context: Context, items: Items) -> int:
    """Judgments of an item: the mean of the benchmark that has the most."""
    means = [1]
    for entry in context.work.spec.evaluate.benchmarks:
        asked = sum(len(_questions(entry, item)) for item in items[entry.name])
        means.append(ceil(asked / len(items[entry.name])) * (entry.votes + (seed_votes(context, entry) or 0)))
    return max(means)


def made(asked: list[Asked], sampled: Sampled) -> Made:
    """The rows of a shard, one a judgment."""
    rows = list(_rows(asked, sampled))
    ordered = sum(ask.first == 0 for ask in asked)
    counts = {"ordered": ordered, "judgments": len(rows), "unparsed": sum(row["verdict"] is None for row in rows)}
    return Made(rows, counts, {}, sampled.tokens, sampled.seconds)


def _rows(asked: list[Asked], sampled: Sampled) -> Iterator[Row]:
    for ask, samples in zip(asked, sampled.completions, strict=True):
        gold, read = ask.question.gold, READINGS[ask.question.prompt].strict
        for number, sample in enumerate(samples or UNFIT, start=ask.first):
            verdict = read(sample.text)
            yield {
                "benchmark": ask.benchmark.name,
                "pair_id": ask.item,
                "subset": ask.subset,
                "order": ask.question.key,
                "sample": number,
                "trace": sample.text,
                "verdict": verdict,
                "finish": sample.finish,
                "tokens": sample.tokens,
                "correct": None if gold is None else verdict == gold,
            }


def _request(context: Context, sampler: Sampler, templates: Mapping[PromptName, Template], ask: Asked) -> Request:
    seed = seed_of(context.work.spec.seed, "evaluate", context.work.iteration, ask.benchmark.name, ask.item, ask.question.key)
    sampling = _sampling(context.work.spec.evaluate, ask.votes)
    return sampler.request(templates[ask.question.prompt], ask.question.values, seed, sampling)


def _sampling(settings: Evaluate, votes: int) -> Sampling:
    """One vote is greedy (paper, single judgment); more are sampled."""
    if votes == 1:
        return Sampling(1, 0.0, 1.0, settings.max_tokens)
    return Sampling(votes, float(settings.temperature), float(settings.top_p), settings.max_tokens)
