"""generate: an answer to every instruction and a worse one, in one pass over the instructions. Runs once; pairs are fixed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
from selftrain.api.v1alpha1 import Spec
from selftrain.prompts import resolve
from selftrain.storage.instructions import Instruction, scan_instructions
from selftrain.storage.tables import PAIRS
from selftrain.workers.context import Context, generator, instructions
from selftrain.workers.sampling import Load, load_sampler
from selftrain.workers.shards import ShardedStage, bounds, cut, digests, total
from selftrain.workers.writer import Writer


def run(context: Context, load: Load = load_sampler) -> None:
    """Make pairs, shard by shard. Shards that are committed are not made again."""
    spec = context.work.spec
    answer, variation = resolve(spec.prompts, "answer"), resolve(spec.prompts, "variation")
    source, (model_name, model) = instructions(context), generator(context)
    count, drops = count_instructions(source.path, spec)
    stage = ShardedStage(
        context, PAIRS, cut(count, spec.generate.shards, spec.resolved.answers + 1),
        inputs={"instructions": source.digest, model_name: model.digest},
        prompts=digests({"answer": answer, "variation": variation}),
    )  # fmt: skip
    if missing := stage.missing(spec.generate.parallelism):
        writer = Writer(load(model.path, spec.generate, [answer, variation]), answer, variation, spec)
        with context.drain.deferred():
            for shard, rows in _cut(source.path, spec, count, stage.shards, stage.undrained(missing)):
                stage.write(shard, writer.make(rows))
    if (done := stage.complete()) is not None:
        require_pairs(total([drops, *(marker.drops for marker in done.values())]), sum(m.counts["pairs"] for m in done.values()))
        stage.commit(done, {"rows": count + sum(drops.values())}, drops)


def count_instructions(path: Path, spec: Spec) -> tuple[int, dict[Drop, int]]:
    """How many distinct instructions the run uses, and what was left out of the file. Raises UserError if it has none."""
    drops: Counter[Drop] = Counter()
    count = sum(1 for _ in scan_instructions(path, spec.instructions, drops))
    return count, dict(drops)


def require_pairs(drops: Mapping[Drop, int], pairs: int) -> None:
    """A run without a pair stops here, with what was dropped; the shards stay for people to look at."""
    if pairs == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
        fix = "look at the rows in the generate shards, then change the prompts, maxTokens or the generator in a new run"
        raise UserError(Reason.NO_PAIRS, f"no instruction gave a usable pair (dropped: {reasons})", fix)


def _cut(path: Path, spec: Spec, count: int, shards: int, wanted: Iterable[int]) -> Iterator[tuple[int, list[Instruction]]]:
    """Instructions of the wanted shards in ascending order, in one pass over the file and one shard in memory."""
    rows, position = scan_instructions(path, spec.instructions, Counter()), 0
    for shard in wanted:
        start, stop = bounds(count, shards, shard)
        yield shard, list(islice(rows, start - position, stop - position))
        position = stop
