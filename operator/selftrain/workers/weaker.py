"""generate, before the first iteration: a weaker model's answer to every instruction. A step of its own (decision 0010)."""

from collections import Counter
from collections.abc import Iterator, Sequence

from selftrain.api.records import Drop
from selftrain.api.seeds import seed_of
from selftrain.method.pairs import check_answer
from selftrain.prompts import resolve
from selftrain.storage.instructions import Instruction
from selftrain.storage.tables import ANSWERS
from selftrain.workers.context import Context, weaker
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.generate import in_shards, read_sources
from selftrain.workers.sampling import Load, Sampled, load_sampler
from selftrain.workers.shards import Made, Row, ShardedStage, cut, digests
from selftrain.workers.writer import written


def run(context: Context, load: Load = load_sampler) -> None:
    """Answer all instructions, shard by shard."""
    settings, answer = context.work.spec.generate, resolve(context.work.spec.prompts, "answer")
    sources, model = read_sources(context), weaker(context)
    stage = ShardedStage(
        context, ANSWERS, cut(sources.count, settings.shards, 1),
        inputs={**sources.digests, "weaker": model.digest},
        prompts=digests({"answer": answer}),
    )  # fmt: skip
    if missing := stage.missing(settings.parallelism):
        sampler = load(model.path, settings, [answer])
        sampling = Sampling.drawn(settings, 1)

        def batches() -> Iterator[tuple[tuple[int, Sequence[Instruction]], list[Request]]]:
            for shard, rows in in_shards(sources, stage.shards, stage.undrained(missing)):
                seeds = [seed_of(context.work.spec.seed, "generate", "weaker", row.id) for row in rows]
                yield (
                    (shard, rows),
                    [sampler.request(answer, {"instruction": row.text}, seed, sampling) for row, seed in zip(rows, seeds, strict=True)],
                )

        with context.drain.deferred():
            for (shard, rows), sampled in sampler.sample(batches()):
                stage.write(shard, made(rows, sampled))
    if (done := stage.complete()) is not None:
        stage.commit(stage.manifest(done, {"rows": sources.count + sum(sources.drops.values())}, sources.drops))


def made(rows: Sequence[Instruction], sampled: Sampled) -> Made:
    """A row an instruction, those without an answer with their reason."""
    answers = [_answer(samples) for samples in sampled.completions]
    drops = Counter(answer for answer in answers if isinstance(answer, Drop))
    counts = {"instructions": len(rows), "answers": len(rows) - sum(drops.values())}
    return Made([_row(*pair) for pair in zip(rows, answers, strict=True)], counts, drops, sampled.tokens, sampled.seconds)


def _answer(samples: Sequence[Completion] | None) -> str | Drop:
    if samples is None:
        return Drop.TOO_LONG
    answer = written(samples[0])
    return check_answer(answer) or answer.text.strip()


def _row(row: Instruction, answer: str | Drop) -> Row:
    return {"pair_id": row.id, "dropped" if isinstance(answer, Drop) else "answer": str(answer)}
