"""What of the benchmarks a judge was trained on, in its own iteration or as the judge that it began as."""

from collections.abc import Iterable, Iterator

from selftrain.api.pair_files import PairFormat
from selftrain.api.records import Overlap
from selftrain.api.stages import Stage, Step
from selftrain.method.contests import Contest
from selftrain.method.official import item_of
from selftrain.method.overlap import Texts, overlaps
from selftrain.method.pairs import HeldOut
from selftrain.planning.steps import PAIRS_STEP, learnt_from
from selftrain.workers.context import Context, finished
from selftrain.workers.exams import Exam
from selftrain.workers.rows import read_columns


def contamination(context: Context, benchmarks: Iterable[Exam]) -> dict[str, Overlap]:
    """Overlaps by benchmark; none for the seed, whose training data nobody here knows."""
    if context.work.iteration == 0:
        return {}
    held_out = {exam.name: [_texts(exam.layout, item) for item in exam.items] for exam in benchmarks}
    return overlaps(held_out, _trained_on(context))


def _texts(layout: PairFormat, item: HeldOut | Contest) -> tuple[str, Texts]:
    if isinstance(item, Contest):
        return item_of(layout, item.id), Texts(item.instruction, (*item.right, *item.wrong))
    return item_of(layout, item["id"]), Texts(item["instruction"], (item["chosen"], item["rejected"]))


def _trained_on(context: Context) -> Iterator[Texts]:
    """The pairs of which judgments are in a training set that the judge learnt from. Their names are held, and no text."""
    learnt = learnt_from(context.work.spec.resolved, context.work.iteration)
    examples = [part for number in learnt for part in finished(context, Step(number, Stage.SELECT)).parts]
    kept = {row["pair_id"] for row in read_columns(context.store, examples, context.scratch, ["pair_id"])}
    pairs = finished(context, PAIRS_STEP).parts
    for row in read_columns(context.store, pairs, context.scratch, ["pair_id", "instruction", "chosen", "rejected"]):
        if row["pair_id"] in kept:
            yield Texts(row["instruction"], (row["chosen"], row["rejected"]))
