"""What a judge is scored on: the benchmarks, and the run's own pairs that are held out for the choice of a checkpoint."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selftrain.api.pair_files import Mode, PairFormat
from selftrain.api.records import VALIDATION, Drop, Split
from selftrain.method.contests import Contest
from selftrain.method.pairs import LABELLED, HeldOut
from selftrain.planning.steps import PAIRS_STEP
from selftrain.storage.benchmarks import read_items
from selftrain.storage.commit import manifest_digest
from selftrain.workers.context import Context, benchmark, finished, input_name
from selftrain.workers.rows import read_columns

COLUMNS = ("pair_id", "instruction", "chosen", "rejected", "kind", "dropped", "split")


@dataclass(frozen=True)
class Exam:
    """Items that are scored together: pairs, or contests of more answers."""

    name: str
    items: Sequence[HeldOut] | Sequence[Contest]
    source: str
    """The name of the input that they are from."""
    digest: str
    votes: int = 1
    again: int | None = None
    """Votes by which the judge is scored once more; with several votes its own score is that already."""
    layout: PairFormat = PairFormat.PAIRS
    mode: Mode = Mode.PAIRWISE
    drops: Mapping[Drop, int] = field(default_factory=dict)
    """Items of the file that are left out."""


def read_benchmarks(context: Context) -> list[Exam]:
    """All benchmarks of the run."""
    exams, settings = [], context.work.spec.evaluate
    for entry in settings.benchmarks:
        file, drops = benchmark(context, entry.name, entry.uri), Counter[Drop]()
        exam = Exam(
            name=entry.name,
            items=read_items(file.path, entry.format, drops, entry.mode),
            source=f"benchmark/{entry.name}",
            digest=file.digest,
            votes=entry.votes,
            again=context.work.spec.majority_in(context.work.iteration) if entry.votes == 1 else None,
            layout=entry.format,
            mode=entry.mode,
            drops=drops,
        )
        exams.append(exam)
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
