"""Items of right and wrong answers: what a judge is asked about them, and what its words amount to.

The key of a judgment names the answers it was about: `C` (four were shown, the right one as C), `right-1` (rated alone), or
`wrong-2 right-1` (shown as A and B). So judgments can be understood without the item.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

from selftrain.api.pair_files import Mode
from selftrain.api.records import Verdict
from selftrain.api.seeds import seed_of
from selftrain.method.benchmarks.rewardbench2 import NO_RATING, TIES, ranked, rated
from selftrain.method.pairs import HeldOut
from selftrain.method.questions import Prompt, Question
from selftrain.method.verdict import LETTERS, RATINGS
from selftrain.method.votes import majority

RIGHT, TOP_RATING = "right-1", len(RATINGS)
Said = Mapping[str, Sequence[str | None]]
"""Votes on one item, by the key of what was asked."""


class Contest(NamedTuple):
    """One item. All its right answers should be judged better than each wrong one.

    A pair is one too if its answers are rated alone.
    """

    id: str
    subset: str
    instruction: str
    right: Sequence[str]
    wrong: Sequence[str]

    @property
    def answers(self) -> dict[str, str]:
        """By name, the right ones first."""
        kinds = (("right", self.right), ("wrong", self.wrong))
        return {f"{kind}-{number}": text for kind, texts in kinds for number, text in enumerate(texts, start=1)}


def rated_alone(pair: HeldOut) -> Contest:
    """A pair whose two answers are not to be shown together."""
    return Contest(pair["id"], pair["subset"] or "", pair["instruction"], (pair["chosen"],), (pair["rejected"],))


class Outcome(NamedTuple):
    """What a judge made of one item."""

    worth: float
    """As the benchmark counts it: a shared first place is worth its share, no verdict a guess."""
    right: bool
    """The right answers alone come first."""
    decided: bool
    """At least one judgment had a verdict; of ratings, all had: an answer without one is neither better nor worse than another."""
    ratings: Sequence[float] = ()
    """Of the right answers and then of the wrong ones; points in a tournament."""
    says_a: bool = False
    """Of four, the one shown as A was chosen."""


def questions(contest: Contest, mode: Mode) -> Iterator[Question]:
    """All that is asked about an item. Several right answers can only be rated: there is no best one."""
    names, asked = contest.answers, {"instruction": contest.instruction}
    asked_as = mode_of(contest, mode)
    if asked_as is Mode.RATING:
        for name, answer in names.items():
            yield Question(name, "rating", {**asked, "answer": answer})
    elif asked_as is Mode.RANKING:
        position, shown = stored_position(contest.id), list(names.values())
        shown[0], shown[position] = shown[position], shown[0]
        values = {f"answer_{letter.lower()}": answer for letter, answer in zip(LETTERS, shown, strict=True)}
        yield Question(LETTERS[position], "ranking", {**asked, **values}, LETTERS[position])
    else:
        for one, other in permutations(names, 2):
            gold = next((verdict for verdict, name in ((Verdict.A, one), (Verdict.B, other)) if name == RIGHT), None)
            yield Question(f"{one} {other}", "judge", {**asked, "answer_a": names[one], "answer_b": names[other]}, gold)


def mode_of(contest: Contest, mode: Mode) -> Mode:
    """How this item of a benchmark is asked about."""
    return Mode.RATING if contest.subset == TIES else mode


@cache
def by_chance(right: int, wrong: int, mode: Mode) -> float:
    """How likely the right answers alone come first if every verdict and rating is drawn, each as likely as the others."""
    if mode is Mode.RANKING:
        return 1 / (right + wrong)
    if mode is Mode.RATING:
        marks = range(1, TOP_RATING + 1)
        lowest = [((TOP_RATING + 1 - mark) / TOP_RATING) ** right - ((TOP_RATING - mark) / TOP_RATING) ** right for mark in marks]
        return sum(share * ((mark - 1) / TOP_RATING) ** wrong for mark, share in zip(marks, lowest, strict=True))
    matches = list(permutations(range(right + wrong), 2))
    tournaments = [*product((0, 1), repeat=len(matches))]
    return sum(_alone_first(matches, won) for won in tournaments) / len(tournaments)


def _alone_first(matches: Sequence[tuple[int, int]], won: Sequence[int]) -> bool:
    """Whether the first answer has most points in a tournament with these winners."""
    points = Counter(match[side] for match, side in zip(matches, won, strict=True))
    return points[0] > max(points[other] for other in {one for one, _ in matches} - {0})


def prompt_of(key: str) -> Prompt:
    """What was asked with, by the key of a judgment; of pairs too, whose keys are their orders."""
    if key in LETTERS:
        return "ranking"
    return "rating" if "-" in key and " " not in key else "judge"


def stored_position(item: str) -> int:
    """Where the right answer is shown. RewardBench 2 draws it anew in each run; here it is drawn once, by the item's name."""
    return seed_of("rewardbench2", item) % len(LETTERS)


def outcome(said: Said) -> Outcome:
    """What the votes on one item amount to."""
    if said.keys() <= set(LETTERS):
        [(position, votes)] = said.items()
        winner = majority(votes)
        return Outcome(ranked(position, winner), winner == position, winner is not None, says_a=winner == Verdict.A)
    if " " in next(iter(said)):
        return compared(_points(said), decided=any(vote is not None for votes in said.values() for vote in votes))
    ratings = {name: _mean(votes) for name, votes in said.items()}
    return compared(ratings, decided=NO_RATING not in ratings.values())


def compared(by_name: Mapping[str, float], *, decided: bool) -> Outcome:
    """The outcome of ratings, points or lengths."""
    right = [value for name, value in by_name.items() if name.startswith("right")]
    wrong = [value for name, value in by_name.items() if not name.startswith("right")]
    return Outcome(rated([*right, *wrong]), decided and min(right) > max(wrong), decided, [*right, *wrong])


def _points(said: Said) -> dict[str, float]:
    """A tournament: a point to the winner of each match, half a point to both where it has none."""
    points: defaultdict[str, float] = defaultdict(float)
    for match, votes in said.items():
        one, other = match.split()
        winner = majority(votes)
        points[one] += 0.5 if winner is None else winner == Verdict.A
        points[other] += 0.5 if winner is None else winner == Verdict.B
    return points


def _mean(votes: Sequence[str | None]) -> float:
    known = [int(vote) for vote in votes if vote is not None]
    return sum(known) / len(known) if known else NO_RATING
