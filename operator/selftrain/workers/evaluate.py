"""evaluate: judgments of held-out items, the scores made from them, and the judge's card. Pairs are judged in both orders, or rated."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from selftrain.api.records import CUT, VALIDATION, Drop, Order
from selftrain.api.seeds import seed_of
from selftrain.method.contests import Contest, questions
from selftrain.method.pairs import HeldOut, has_winner, shown
from selftrain.method.questions import Question, prompts_of
from selftrain.method.verdict import READINGS
from selftrain.planning.steps import judge_iteration
from selftrain.prompts import Template, resolve
from selftrain.storage.tables import EVALUATIONS
from selftrain.workers.card import write_card
from selftrain.workers.contamination import contamination
from selftrain.workers.context import Context, judge
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.exams import Exam, read_benchmarks, read_validation
from selftrain.workers.sampling import TOO_LONG, Load, Sampled, Sampler, load_sampler
from selftrain.workers.scores import results
from selftrain.workers.shards import Made, Row, ShardedStage, bounds, cut, digests, total

UNFIT = [Completion("", TOO_LONG, 0)]
"""What stands for the judgments of a prompt that does not fit: no verdict. Our counts call that wrong; RewardBench's own score gives 0.5
for it and RewardBench 2's 0.25, as for a guess."""


@dataclass(frozen=True)
class Asked:
    """One question about an item."""

    exam: Exam
    item: str
    subset: str | None
    question: Question
    votes: int
    first: int = 0
    """Number of the first sample. Those for a majority come after the exam's own."""

    @property
    def same(self) -> Hashable:
        """What is equal where one judgment will do: an answer that several pairs of an item show is rated once."""
        return self.exam.name, self.question.prompt, tuple(self.question.values.items()), self.first


def run(context: Context, load: Load = load_sampler) -> None:
    """Score a judge on all benchmarks, and on the run's own held-out pairs. Shards that are committed are not judged again."""
    settings, benchmarks, own = context.work.spec.evaluate, read_benchmarks(context), read_validation(context)
    exams, needed = [*benchmarks, *own], prompts_of(settings.benchmarks, validation=bool(own))
    templates: dict[str, Template] = {name: resolve(context.work.spec.prompts, name) for name in needed}
    held_out = [(exam, item) for exam in exams for item in exam.items]
    model_name, model = judge(context, judge_iteration(context.work.step))
    stage = ShardedStage(
        context, EVALUATIONS, cut(len(held_out), settings.shards, _judgments(exams)),
        inputs={model_name: model.digest, **{exam.source: exam.digest for exam in exams}},
        prompts=digests(templates),
    )  # fmt: skip
    if missing := stage.missing(settings.parallelism):
        sampler = load(model.path, settings, list(templates.values()))

        def batches() -> Iterator[tuple[tuple[int, list[Asked]], list[Request]]]:
            for shard in stage.undrained(missing):
                start, stop = bounds(len(held_out), stage.shards, shard)
                asked = [ask for exam, item in held_out[start:stop] for ask in asked_about(exam, item)]
                yield (shard, asked), [_request(context, sampler, templates, ask) for ask in once(asked)]

        with context.drain.deferred():
            for (shard, asked), sampled in sampler.sample(batches()):
                stage.write(shard, made(asked, sampled))
    if (done := stage.complete()) is not None:
        found = contamination(context, benchmarks)
        scores = {result.benchmark: result for result in results(context, done, exams)}
        told = [scores[exam.name].model_copy(update={"overlap": found.get(exam.name)}) for exam in benchmarks]
        manifest = stage.manifest(done, drops=total(exam.drops for exam in exams))
        manifest = manifest.model_copy(update={"results": told, "validation": scores.get(VALIDATION)})
        stage.commit(manifest.model_copy(update={"card": write_card(context.store, context.work, manifest)}))


def asked_about(exam: Exam, item: HeldOut | Contest) -> Iterator[Asked]:
    """All questions about an item, each as often as it is voted on."""
    name, subset = (item.id, item.subset) if isinstance(item, Contest) else (item["id"], item["subset"])
    for question in _questions(exam, item):
        yield Asked(exam, name, subset, question, exam.votes)
        if exam.again:
            yield Asked(exam, name, subset, question, exam.again, first=exam.votes)


def once(asked: Iterable[Asked]) -> list[Asked]:
    """The first of those that are the same."""
    first: dict[Hashable, Asked] = {}
    for ask in asked:
        first.setdefault(ask.same, ask)
    return list(first.values())


def _questions(exam: Exam, item: HeldOut | Contest) -> Sequence[Question]:
    if isinstance(item, Contest):
        return list(questions(item, exam.mode))
    shows = ((order, shown(item["instruction"], item["chosen"], item["rejected"], order)) for order in Order)
    return [Question(order.value, "judge", values, order.gold if has_winner(item) else None) for order, values in shows]


def _judgments(exams: Sequence[Exam]) -> int:
    """Judgments of an item: the mean of the exam that has the most."""
    means = [1]
    for exam in exams:
        asked = sum(len(_questions(exam, item)) for item in exam.items)
        means.append(ceil(asked / max(1, len(exam.items))) * (exam.votes + (exam.again or 0)))
    return max(means)


def made(asked: list[Asked], sampled: Sampled) -> Made:
    """The rows of a shard, one a judgment, in every item that it is about.

    What was cut or never sampled is counted and stays, since every item is scored.
    """
    rows = list(_rows(asked, sampled))
    counts = {
        "ordered": sum(ask.first == 0 for ask in asked),
        "judgments": len(rows),
        "unparsed": sum(row["verdict"] is None for row in rows),
        Drop.TRUNCATED: sum(row["finish"] == CUT for row in rows),
        Drop.TOO_LONG: sum(row["finish"] == TOO_LONG for row in rows),
    }
    return Made(rows, counts, {}, sampled.tokens, sampled.seconds)


def _rows(asked: list[Asked], sampled: Sampled) -> Iterator[Row]:
    said = {ask.same: samples for ask, samples in zip(once(asked), sampled.completions, strict=True)}
    for ask in asked:
        samples, gold, read = said[ask.same], ask.question.gold, READINGS[ask.question.prompt].strict
        for number, sample in enumerate(samples or UNFIT, start=ask.first):
            verdict = read(sample.text)
            yield {
                "benchmark": ask.exam.name,
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


def _request(context: Context, sampler: Sampler, templates: Mapping[str, Template], ask: Asked) -> Request:
    seed = seed_of(context.work.spec.seed, "evaluate", context.work.iteration, ask.exam.name, *_name(ask))
    settings = context.work.spec.evaluate
    # One vote is greedy (paper, single judgment); more are sampled.
    sampling = Sampling.greedy(settings) if ask.votes == 1 else Sampling.drawn(settings, ask.votes)
    return sampler.request(templates[ask.question.prompt], ask.question.values, seed, sampling)


def _name(ask: Asked) -> Iterable[str]:
    """What is asked. An answer that is rated is named by its text, so that in each shard that shows it it is rated alike."""
    return ask.question.values.values() if ask.question.prompt == "rating" else (ask.item, ask.question.key)
