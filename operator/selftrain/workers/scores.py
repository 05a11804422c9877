"""The scores of a judge, from what was stored, whoever judged it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from selftrain.api.records import VALIDATION, BenchmarkResult, Order, Shard, Verdict
from selftrain.method import contest_scoring
from selftrain.method.contests import Contest, prompt_of
from selftrain.method.official import item_of, official
from selftrain.method.pairs import HeldOut, has_winner
from selftrain.method.questions import Heard
from selftrain.method.scoring import Ruling, score
from selftrain.method.verdict import READINGS
from selftrain.method.votes import majority
from selftrain.workers.context import Context
from selftrain.workers.exams import Exam
from selftrain.workers.rows import count_rows, read_rows

Words = Mapping[str, Mapping[str, Sequence[Heard]]]
"""What was heard, by item and by how its answers were shown."""


def results(context: Context, done: Mapping[int, Shard], exams: Sequence[Exam]) -> Iterator[BenchmarkResult]:
    """A result for each exam."""
    own, again = _heard(context, done, exams)
    for exam in exams:
        result = _result(exam, exam.votes, own[exam.name])
        if exam.again:
            result = result.model_copy(update={"voted": _result(exam, exam.again, again[exam.name])})
        yield result


def _heard(context: Context, done: Mapping[int, Shard], exams: Iterable[Exam]) -> tuple[Mapping[str, Words], Mapping[str, Words]]:
    """All judgments by exam: its own votes, and those of the seed once more."""
    votes = {exam.name: exam.votes for exam in exams}
    own, again = _by_exam(), _by_exam()
    parts = [done[shard].part for shard in sorted(done)]
    for row in read_rows(context.store, parts, context.scratch, 0, count_rows(parts)):
        words = own if row["sample"] < votes[row["benchmark"]] else again
        heard = Heard(row["verdict"], READINGS[prompt_of(row["order"])].lenient(row["trace"]))
        words[row["benchmark"]][row["pair_id"]][row["order"]].append(heard)
    return own, again


def _by_exam() -> defaultdict[str, defaultdict[str, defaultdict[str, list[Heard]]]]:
    return defaultdict(lambda: defaultdict(lambda: defaultdict(list)))


def _result(exam: Exam, votes: int, words: Words) -> BenchmarkResult:
    if held := [(item, words[item.id]) for item in exam.items if isinstance(item, Contest)]:
        return contest_scoring.result(exam.name, votes, exam.layout, exam.mode, held)
    pairs = [item for item in exam.items if not isinstance(item, Contest)]
    rulings = [_ruling(exam, pair, order, words[pair["id"]][order.value]) for pair in pairs for order in Order]
    won = {pair["id"] for pair in pairs if has_winner(pair)}
    people = {pair["id"]: pair.get("people", []) for pair in pairs}
    return score(exam.name, votes, [ruling for ruling in rulings if ruling.id in won], official(exam.layout, rulings, people))


def _ruling(exam: Exam, pair: HeldOut, order: Order, heard: Sequence[Heard]) -> Ruling:
    """The run's own pairs are of one item if they are about one instruction."""
    item = pair["instruction"] if exam.name == VALIDATION else item_of(exam.layout, pair["id"])
    return Ruling(
        pair["id"], pair["subset"] or "", order,
        verdict=_verdict(one.strict for one in heard),
        chosen_length=len(pair["chosen"]),
        rejected_length=len(pair["rejected"]),
        lenient=_verdict(one.lenient for one in heard),
        disagreements=sum(one.strict != one.lenient for one in heard),
        item=item,
    )  # fmt: skip


def _verdict(votes: Iterable[str | None]) -> Verdict | None:
    said = majority(votes)
    return None if said is None else Verdict(said)
