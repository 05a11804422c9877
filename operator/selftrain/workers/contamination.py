"""What of the benchmarks an iteration's judge was trained on."""

from collections.abc import Iterable, Iterator

from selftrain.api.records import Overlap
from selftrain.api.stages import Stage, Step
from selftrain.method.contests import Contest
from selftrain.method.overlap import Texts, overlaps
from selftrain.method.pairs import HeldOut
from selftrain.planning.steps import PAIRS_STEP
from selftrain.workers.context import Context, finished
from selftrain.workers.exams import Exam
from selftrain.workers.rows import read_columns


def contamination(context: Context, benchmarks: Iterable[Exam]) -> dict[str, Overlap]:
    """Overlaps by benchmark; none for the seed, whose training data nobody here knows."""
    if context.work.iteration == 0:
        return {}
    held_out = {exam.name: [_texts(item) for item in exam.items] for exam in benchmarks}
    return overlaps(held_out, _trained_on(context))


def _texts(item: HeldOut | Contest) -> Texts:
    if isinstance(item, Contest):
        return Texts(item.instruction, (*item.right, *item.wrong))
    return Texts(item["instruction"], (item["chosen"], item["rejected"]))


def _trained_on(context: Context) -> Iterator[Texts]:
    """The pairs of which judgments are in the training set."""
    examples, pairs = finished(context, Step(context.work.iteration, Stage.SELECT)), finished(context, PAIRS_STEP)
    kept = {row["pair_id"] for row in read_columns(context.store, examples.parts, context.scratch, ["pair_id"])}
    for row in read_columns(context.store, pairs.parts, context.scratch, ["pair_id", "instruction", "chosen", "rejected"]):
        if row["pair_id"] in kept:
            yield Texts(row["instruction"], (row["chosen"], row["rejected"]))
