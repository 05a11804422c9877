"""Scores of a judge on items of right and wrong answers, with what blind baselines would have scored on them."""

from collections.abc import Mapping, Sequence

from selftrain.api.pair_files import Mode, PairFormat
from selftrain.api.records import BenchmarkResult, Tally, Verdict
from selftrain.method.contests import Contest, Outcome, by_chance, compared, mode_of, outcome, questions
from selftrain.method.official import item_of, official_of_contests
from selftrain.method.questions import Heard, Question
from selftrain.method.scoring import independent

Decided = Sequence[tuple[Contest, Outcome]]


def result(
    benchmark: str, votes: int, layout: PairFormat, mode: Mode, heard: Sequence[tuple[Contest, Mapping[str, Sequence[Heard]]]]
) -> BenchmarkResult:
    """All tallies of one benchmark, and its own score."""
    contests = [contest for contest, _ in heard]
    strict = [(contest, outcome({key: [one.strict for one in said] for key, said in words.items()})) for contest, words in heard]
    lenient = [(contest, outcome({key: [one.lenient for one in said] for key, said in words.items()})) for contest, words in heard]
    always_a = [(contest, outcome({asked.key: [_says_a(asked)] for asked in questions(contest, mode)})) for contest in contests]
    longer = [(contest, compared({name: len(text) for name, text in contest.answers.items()}, decided=True)) for contest in contests]
    subsets = sorted({contest.subset for contest in contests if contest.subset})
    return BenchmarkResult(
        benchmark=benchmark,
        votes=votes,
        overall=tally(layout, strict),
        parts={name: tally(layout, [one for one in strict if one[0].subset == name]) for name in subsets},
        random=sum(by_chance(len(contest.right), len(contest.wrong), mode_of(contest, mode)) for contest in contests),
        always_a=tally(layout, always_a),
        longer_wins=tally(layout, longer),
        lenient=tally(layout, lenient),
        disagreements=sum(one.strict != one.lenient for _, words in heard for said in words.values() for one in said),
        official=official_of_contests(layout, lenient),
    )


def tally(layout: PairFormat, decided: Decided) -> Tally:
    """Counts of items. Only a right answer that alone comes first is right."""
    right: dict[tuple[str, str], list[bool]] = {(item_of(layout, contest.id), contest.id): [own.right] for contest, own in decided}
    return Tally(
        correct=sum(own.right for _, own in decided),
        total=len(decided),
        unparsed=sum(not own.decided for _, own in decided),
        a_verdicts=sum(own.says_a for _, own in decided),
        effective=independent(len(decided), right),
    )


def _says_a(asked: Question) -> str | None:
    return None if asked.prompt == "rating" else Verdict.A
