"""What a judge is scored on: the benchmarks, and the run's own pairs that are held out for the choice of a checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass

from selftrain.api.records import VALIDATION, Split
from selftrain.api.v1alpha1 import PairFormat
from selftrain.planning.steps import PAIRS_STEP
from selftrain.storage.benchmarks import HeldOut, read_benchmark
from selftrain.storage.commit import manifest_digest
from selftrain.workers.context import Context, benchmark, finished, input_name
from selftrain.workers.generate import LABELLED
from selftrain.workers.rows import read_columns

COLUMNS = ("pair_id", "instruction", "chosen", "rejected", "kind", "dropped", "split")


@dataclass(frozen=True)
class Exam:
    """Pairs that are scored together."""

    name: str
    pairs: Sequence[HeldOut]
    source: str
    """The name of the input that they are from."""
    digest: str
    votes: int = 1
    layout: PairFormat = PairFormat.PAIRS


def read_benchmarks(context: Context) -> list[Exam]:
    """All benchmarks of the run."""
    exams = []
    for entry in context.work.spec.evaluate.benchmarks:
        file = benchmark(context, entry.name, entry.uri)
        pairs = read_benchmark(file.path, entry.format)
        exams.append(Exam(entry.name, pairs, f"benchmark/{entry.name}", file.digest, entry.votes, entry.format))
    return exams


def read_validation(context: Context) -> list[Exam]:
    """The synthetic pairs of held-out instructions, if there are any: the seed is evaluated before pairs are made.

    Labelled ones are left out. A choice that rests on them would rest on people's labels.
    """
    if not context.work.spec.held_out or context.work.iteration == 0:
        return []
    pairs = [
        HeldOut(id=row["pair_id"], instruction=row["instruction"], chosen=row["chosen"], rejected=row["rejected"], subset=row["kind"])
        for row in read_columns(context.store, finished(context, PAIRS_STEP).parts, context.scratch, COLUMNS)
        if row["split"] == Split.VALIDATION and row["dropped"] is None and row["kind"] != LABELLED
    ]
    return [Exam(VALIDATION, pairs, input_name(PAIRS_STEP), manifest_digest(context.store, context.layout, PAIRS_STEP))]
