"""What of the benchmarks an iteration's judge was trained on."""

from collections.abc import Iterator, Mapping, Sequence

from selftrain.api.records import Overlap
from selftrain.api.stages import Stage, Step
from selftrain.method.overlap import Texts, overlaps
from selftrain.planning.steps import PAIRS_STEP
from selftrain.storage.benchmarks import HeldOut
from selftrain.workers.context import Context, finished
from selftrain.workers.rows import read_columns


def contamination(context: Context, benchmarks: Mapping[str, Sequence[HeldOut]]) -> dict[str, Overlap]:
    """Overlaps by benchmark; none for the seed, whose training data nobody here knows."""
    if context.work.iteration == 0:
        return {}
    held_out = {
        name: [Texts(pair["instruction"], (pair["chosen"], pair["rejected"])) for pair in known] for name, known in benchmarks.items()
    }
    return overlaps(held_out, _trained_on(context))


def _trained_on(context: Context) -> Iterator[Texts]:
    """The pairs of which judgments are in the training set."""
    examples, pairs = finished(context, Step(context.work.iteration, Stage.SELECT)), finished(context, PAIRS_STEP)
    kept = {row["pair_id"] for row in read_columns(context.store, examples.parts, context.scratch, ["pair_id"])}
    for row in read_columns(context.store, pairs.parts, context.scratch, ["pair_id", "instruction", "chosen", "rejected"]):
        if row["pair_id"] in kept:
            yield Texts(row["instruction"], (row["chosen"], row["rejected"]))
