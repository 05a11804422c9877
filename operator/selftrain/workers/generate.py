"""generate: an answer to every instruction, and a worse one, which answers a variation of it. Runs once; pairs are fixed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Generate, Spec
from selftrain.method.pairs import Pair, Written, build_pair, check_answer
from selftrain.prompts import Template, resolve
from selftrain.storage.tables import PAIRS, Instruction, scan_instructions
from selftrain.workers.context import Context, generator, instructions
from selftrain.workers.engine import Completion, Sampling
from selftrain.workers.sampling import Load, Sampler, load_sampler
from selftrain.workers.shards import Made, Row, ShardedStage, bounds, cut, digests, total


def run(context: Context, load: Load = load_sampler) -> None:
    """Make pairs, shard by shard. Shards that are committed are not made again."""
    spec = context.work.spec
    answer, variation = resolve(spec.prompts, "answer"), resolve(spec.prompts, "variation")
    source, (model_name, model) = instructions(context), generator(context)
    count, drops = count_instructions(source.path, spec)
    stage = ShardedStage(
        context, PAIRS, cut(count, spec.generate.shards, completions=2),
        inputs={"instructions": source.digest, model_name: model.digest},
        prompts=digests({"answer": answer, "variation": variation}),
    )  # fmt: skip
    if missing := stage.missing(spec.generate.parallelism):
        writer = Writer(load(model.path, spec.generate, [answer, variation]), answer, variation, spec.seed, spec.generate)
        with context.drain.deferred():
            for shard, rows in _cut(source.path, spec, count, stage.shards, stage.undrained(missing)):
                stage.write(shard, writer.make(rows))
    if (done := stage.complete()) is not None:
        require_pairs(total([drops, *(marker.drops for marker in done.values())]), sum(m.counts["pairs"] for m in done.values()))
        stage.commit(done, {"rows": count + sum(drops.values())}, drops)


@dataclass(frozen=True)
class Writer:
    """Writes the pairs of a shard."""

    sampler: Sampler
    answer: Template
    variation: Template
    seed: int
    settings: Generate

    def make(self, rows: Sequence[Instruction]) -> Made:
        """One row an instruction, dropped ones with their reason."""
        answers = self._ask("answer", self.answer, [(row, {"instruction": row.text}) for row in rows])
        early = [Drop.TOO_LONG if answer is None else check_answer(answer) for answer in answers.written]
        good = [(r, a) for r, a, reason in zip(rows, answers.written, early, strict=True) if a is not None and reason is None]
        values = [(row, {"instruction": row.text, "answer": answer.text.strip()}) for row, answer in good]
        variations = self._ask("variation", self.variation, values)
        built = iter([_pair(*both, variation) for both, variation in zip(good, variations.written, strict=True)])
        pairs = [next(built) if reason is None else reason for reason in early]
        drops = Counter(pair for pair in pairs if isinstance(pair, Drop))
        counts = {"instructions": len(rows), "pairs": len(rows) - drops.total()}
        seconds = answers.seconds + variations.seconds
        return Made([_row(*both) for both in zip(rows, pairs, strict=True)], counts, drops, answers.tokens + variations.tokens, seconds)

    def _ask(self, name: str, template: Template, prompts: Iterable[tuple[Instruction, Mapping[str, str]]]) -> "Answers":
        sampling = Sampling(1, float(self.settings.temperature), float(self.settings.top_p), self.settings.max_tokens)
        requests = [
            self.sampler.request(template, values, seed_of(self.seed, "generate", name, row.id), sampling) for row, values in prompts
        ]
        sampled = self.sampler.sample_once(requests)
        return Answers([_written(samples[0]) if samples else None for samples in sampled.completions], sampled.tokens, sampled.seconds)


@dataclass(frozen=True)
class Answers:
    """Completions, one a prompt; None where the prompt is too long."""

    written: list[Written | None]
    tokens: int
    seconds: float


def count_instructions(path: Path, spec: Spec) -> tuple[int, dict[Drop, int]]:
    """How many distinct instructions the run uses, and what was left out of the file. Raises UserError if it has none."""
    drops: Counter[Drop] = Counter()
    count = sum(1 for _ in scan_instructions(path, spec.instructions.text_field, spec.instructions.limit, drops))
    return count, dict(drops)


def require_pairs(drops: Mapping[Drop, int], pairs: int) -> None:
    """A run without a pair stops here, with what was dropped; the shards stay for people to look at."""
    if pairs == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
        fix = "look at the rows in the generate shards, then change the prompts, maxTokens or the generator in a new run"
        raise UserError(Reason.NO_PAIRS, f"no instruction gave a usable pair (dropped: {reasons})", fix)


def _cut(path: Path, spec: Spec, count: int, shards: int, wanted: Iterable[int]) -> Iterator[tuple[int, list[Instruction]]]:
    """Instructions of the wanted shards in ascending order, in one pass over the file and one shard in memory."""
    rows, position = scan_instructions(path, spec.instructions.text_field, spec.instructions.limit, Counter()), 0
    for shard in wanted:
        start, stop = bounds(count, shards, shard)
        yield shard, list(islice(rows, start - position, stop - position))
        position = stop


def _written(sample: Completion) -> Written:
    return Written(sample.text, whole=sample.finish == "stop")


def _pair(row: Instruction, answer: Written, variation: Written | None) -> Pair | Drop:
    return Drop.TOO_LONG if variation is None else build_pair(row.text, answer, variation)


def _row(row: Instruction, pair: Pair | Drop) -> Row:
    if isinstance(pair, Drop):
        return {"pair_id": row.id, "instruction": row.text, "dropped": pair.value}
    return {
        "pair_id": row.id,
        "instruction": row.text,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "variation": pair.variation,
    }
