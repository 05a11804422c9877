"""judge: N judgments of every pair in every order, by the newest judge. Both orders are asked side by side."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import CUT, Drop, Order, Split
from selftrain.api.seeds import seed_of
from selftrain.method.pairs import shown
from selftrain.method.split import HELD_OUT
from selftrain.method.verdict import parse_verdict
from selftrain.planning.steps import PAIRS_STEP, judge_iteration
from selftrain.prompts import resolve, sampled_with
from selftrain.storage.commit import manifest_digest
from selftrain.storage.instructions import instruction_id
from selftrain.storage.tables import JUDGMENTS
from selftrain.workers.context import Context, finished, input_name, judge
from selftrain.workers.engine import Request, Sampling
from selftrain.workers.rows import count_rows, read_rows
from selftrain.workers.sampling import Load, Sampled, load_sampler
from selftrain.workers.shards import Made, Row, ShardedStage, bounds, cut, digests

PAIRS, NOT_MADE, OTHER_SLICE = "pairs", "pairs dropped before", "pairs of other slices"
"""With what is held out these add up to the rows of generate: every row is judged, or counted for not being judged."""


@dataclass(frozen=True)
class Asked:
    """One ordered pair and the seed of its first sample."""

    pair: dict[str, Any]
    order: Order
    seed: int

    @property
    def values(self) -> dict[str, str]:
        """What the judge prompt is filled with."""
        return shown(self.pair["instruction"], self.pair["chosen"], self.pair["rejected"], self.order)


class Batch(NamedTuple):
    """A shard: its rows by their use, and what of them is asked."""

    shard: int
    uses: Counter[str]
    asked: list[Asked]


def run(context: Context, load: Load = load_sampler) -> None:
    """Judge all pairs, shard by shard. Shards that are committed are not judged again."""
    settings, prompts = context.work.spec.judge, context.work.spec.prompts
    asked_with = sampled_with(prompts)
    template = resolve(prompts, asked_with)
    parts = finished(context, PAIRS_STEP).parts
    model_name, model = judge(context, judge_iteration(context.work.step))
    stage = ShardedStage(
        context, JUDGMENTS, cut(count_rows(parts), settings.shards, len(Order) * settings.samples),
        inputs={input_name(PAIRS_STEP): manifest_digest(context.store, context.layout, PAIRS_STEP), model_name: model.digest},
        prompts=digests({asked_with: template}),
    )  # fmt: skip
    if missing := stage.missing(settings.parallelism):
        sampler, sampling = load(model.path, settings, [template]), Sampling.drawn(settings, settings.samples)

        def batches() -> Iterator[tuple[Batch, list[Request]]]:
            for shard in stage.undrained(missing):
                rows = [*read_rows(context.store, parts, context.scratch, *bounds(count_rows(parts), stage.shards, shard))]
                batch = Batch(shard, Counter(use_of(context, row) for row in rows), [*ordered(context, rows)])
                yield batch, [sampler.request(template, a.values, a.seed, sampling) for a in batch.asked]

        with context.drain.deferred():
            for batch, sampled in sampler.sample(batches()):
                stage.write(batch.shard, made(batch, sampled))
    if (done := stage.complete()) is not None:
        require_pairs(context, sum(marker.counts["ordered"] for marker in done.values()))
        stage.commit(stage.manifest(done))


def require_pairs(context: Context, ordered: int) -> None:
    """Stop a run whose slice of this iteration has no pair. Only few pairs in many slices can come to that."""
    if ordered == 0:
        iteration, slices = context.work.iteration, context.work.spec.resolved.slices
        message = f"none of the pairs is in slice {(iteration - 1) % slices + 1} of {slices}, which iteration {iteration} is to judge"
        raise UserError(Reason.NO_PAIRS, message, "give more instructions, or set judge.slices to fewer, in a new run")


def made(batch: Batch, sampled: Sampled) -> Made:
    """The rows of a shard, one a judgment. Ordered pairs whose prompt does not fit are counted and have none; cut judgments stay."""
    rows = list(_rows(batch.asked, sampled))
    drops = Counter(Drop.TOO_LONG for samples in sampled.completions if samples is None)
    counts = {
        **{use: batch.uses[use] for use in (PAIRS, NOT_MADE, HELD_OUT, OTHER_SLICE) if batch.uses[use]},
        "ordered": len(batch.asked),
        "judgments": len(rows),
        "unparsed": sum(row["verdict"] is None for row in rows),
        Drop.TRUNCATED: sum(row["finish"] == CUT for row in rows),
    }
    return Made(rows, counts, drops, sampled.tokens, sampled.seconds)


def _rows(asked: list[Asked], sampled: Sampled) -> Iterator[Row]:
    for ask, samples in zip(asked, sampled.completions, strict=True):
        for number, sample in enumerate(samples or ()):
            yield {
                "pair_id": ask.pair["pair_id"],
                "order": ask.order.value,
                "sample": number,
                "trace": sample.text,
                "verdict": parse_verdict(sample.text),
                "finish": sample.finish,
                "tokens": sample.tokens,
                "seed": ask.seed + number,
            }


def use_of(context: Context, row: Mapping[str, Any]) -> str:
    """Whether a row is judged in this iteration, or why not. Held-out pairs are not for training."""
    seed, iteration, slices = context.work.spec.seed, context.work.iteration, context.work.spec.resolved.slices
    if row["dropped"] is not None:
        return NOT_MADE
    if row.get("split") == Split.VALIDATION:
        return HELD_OUT
    # A synthetic pair is called by its instruction's id; labelled ones may be several of one instruction.
    own = seed_of(seed, "slice", instruction_id(str(row["instruction"]).encode())) % slices
    return PAIRS if own == (iteration - 1) % slices else OTHER_SLICE


def ordered(context: Context, rows: Iterable[dict[str, Any]]) -> Iterator[Asked]:
    """The pairs to judge among `rows`, each in the orders that are asked for."""
    seed, iteration, orders = context.work.spec.seed, context.work.iteration, context.work.spec.judge.orders
    for row in rows:
        if use_of(context, row) == PAIRS:
            drawn = tuple(Order)[seed_of(seed, "order", row["pair_id"]) % len(Order)]
            for order in Order if orders == "both" else (drawn,):
                yield Asked(row, order, seed_of(seed, "judge", iteration, row["pair_id"], order))
