"""RewardBench 2 and rated pairs inside a run: what is asked in each mode, and that RewardBench 2's score is the one of its own code."""

import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.pair_files import Benchmark, Mode, PairFormat
from selftrain.api.records import BenchmarkResult
from selftrain.method.benchmarks import rewardbench2
from selftrain.method.contest_scoring import result
from selftrain.method.contests import Contest, by_chance, outcome, prompt_of, questions, rated_alone, stored_position
from selftrain.method.pairs import HeldOut
from selftrain.method.questions import Heard, Question, prompts_of

ITEM = Contest("Math/1", "Math", "x?", ("right",), ("w1", "w2", "longest"))
TIED = Contest("Ties/tied:7", "Ties", "x?", ("r1", "r2"), ("w1",))
REFERENCE = Contest("Ties/ref:7", "Ties", "x?", ("r1",), ("w1",))
Says = Callable[[Question], str | None]


def judged(mode: Mode, says: Says, *items: Contest, layout: PairFormat = PairFormat.REWARDBENCH2) -> BenchmarkResult:
    held = [(item, {asked.key: [Heard(says(asked), says(asked))] for asked in questions(item, mode)}) for item in items]
    return result("b", 1, layout, mode, held)


def test_a_ranking_shows_the_right_answer_where_the_items_name_puts_it() -> None:
    [asked] = questions(ITEM, Mode.RANKING)
    assert asked.key == asked.gold == "ABCD"[stored_position(ITEM.id)]
    assert asked.values[f"answer_{asked.key.lower()}"] == "right"
    assert sorted(asked.values.values()) == sorted(["x?", "right", "w1", "w2", "longest"])


def test_positions_are_spread() -> None:
    counts = [sum(stored_position(f"Math/{number}") == place for number in range(400)) for place in range(4)]
    assert all(70 < count < 130 for count in counts)


def test_a_tournament_shows_every_two_answers_in_both_orders() -> None:
    asked = list(questions(ITEM, Mode.PAIRWISE))
    assert len({(one.values["answer_a"], one.values["answer_b"]) for one in asked}) == len(asked) == 12
    for one in asked:
        shown = [one.values["answer_a"], one.values["answer_b"]]
        assert one.gold == ("AB"[shown.index("right")] if "right" in shown else None)


@pytest.mark.parametrize("mode", Mode)
def test_ties_are_rated_whatever_the_mode(mode: Mode) -> None:
    assert [(asked.key, asked.prompt, asked.values["answer"]) for asked in questions(TIED, mode)] == [
        ("right-1", "rating", "r1"), ("right-2", "rating", "r2"), ("wrong-1", "rating", "w1"),
    ]  # fmt: skip


@pytest.mark.parametrize("item", [ITEM, TIED], ids=["best of four", "ties"])
@pytest.mark.parametrize("mode", Mode)
def test_a_key_says_what_was_asked_with(mode: Mode, item: Contest) -> None:
    asked = list(questions(item, mode))
    assert all(prompt_of(one.key) == one.prompt for one in asked)
    entry = Benchmark.model_validate({"name": "b", "uri": "s3://b/x", "format": "rewardbench2", "mode": mode})
    assert {one.prompt for one in asked} <= set(prompts_of([entry]))


def test_pairs_need_one_prompt_alone() -> None:
    assert prompts_of([Benchmark(name="b", uri="s3://b/x")]) == ["judge"]
    assert prompts_of([Benchmark(name="b", uri="s3://b/x", mode=Mode.RATING)]) == ["rating"]
    assert (prompts_of([]), prompts_of([], validation=True)) == ([], ["judge"])
    assert (prompt_of("AB"), prompt_of("BA")) == ("judge", "judge")


@pytest.mark.parametrize(
    ("said", "worth", "right", "decided"),
    [
        ({"C": ["C"]}, 1, True, True),
        ({"C": ["A"]}, 0, False, True),
        ({"C": [None]}, 0.25, False, False),
        ({"C": ["A", "C", "C"]}, 1, True, True),
        ({"C": ["A", "C"]}, 0.25, False, False),  # a tie of votes is no verdict
        ({"C": ["C", None]}, 1, True, True),
        ({"right-1": ["7"], "wrong-1": ["6"], "wrong-2": ["1"]}, 1, True, True),
        ({"right-1": ["7"], "wrong-1": ["7"], "wrong-2": ["1"]}, 0.5, False, True),  # a shared first place
        ({"right-1": ["6", "7"], "wrong-1": ["6", "6"], "wrong-2": ["1", "2"]}, 1, True, True),  # means
        ({"right-1": ["6", None], "wrong-1": ["5", "6"], "wrong-2": ["2", None]}, 1, True, True),  # of those that were parsed
        ({"right-1": ["6"], "wrong-1": ["5"], "wrong-2": [None]}, 1, False, False),  # worth as RewardBench 2 has it
        ({"right-1": ["6"], "wrong-1": [None]}, 1, False, False),
        ({"right-1": [None], "wrong-1": ["1"], "wrong-2": [None]}, 0, False, False),
        ({"right-1": [None], "wrong-1": [None]}, 0.25, False, False),
        ({"right-1 wrong-1": ["A"], "wrong-1 right-1": ["B"]}, 1, True, True),
        ({"right-1 wrong-1": ["A"], "wrong-1 right-1": ["A"]}, 0.5, False, True),
        ({"right-1 wrong-1": ["A"], "wrong-1 right-1": [None]}, 1, True, True),  # one and a half points of two
        ({"right-1 wrong-1": [None], "wrong-1 right-1": [None]}, 0.5, False, False),
        ({"right-1 wrong-1": ["A"], "wrong-1 wrong-2": [None]}, 1, True, True),  # one point, and half a point to each other answer
    ],
)
def test_outcomes(said: Mapping[str, list[str | None]], worth: float, right: bool, decided: bool) -> None:
    found = outcome(said)
    assert (found.worth, found.right, found.decided) == (worth, right, decided)


def best(asked: Question) -> str | None:
    """A judge that is always right."""
    if asked.prompt == "rating":
        return "9" if asked.key.startswith("right") else "2"
    return asked.gold or "A"


@pytest.mark.parametrize("mode", Mode)
def test_a_judge_that_is_always_right_has_the_best_score(mode: Mode) -> None:
    items = [Contest(f"{subset}/1", subset, "x?", ("r",), ("a", "b", "c")) for subset in rewardbench2.COUNTS if subset != "Ties"]
    told = judged(mode, best, *items, TIED, REFERENCE)
    assert told.official is not None
    assert told.official.overall == pytest.approx(1, abs=0.01), "the Ties score reaches 1.01"
    assert (told.overall.correct, told.overall.total) == (7, 7)
    assert not told.official.complete


@pytest.mark.parametrize("mode", Mode)
def test_a_silent_judge_scores_as_by_the_published_rules(mode: Mode) -> None:
    told = judged(mode, lambda _asked: None, ITEM, TIED, REFERENCE)
    assert told.official is not None
    assert told.official.parts["Math"] == 0.25
    assert (told.overall.correct, told.overall.unparsed) == (0, 3)


def test_the_score_is_that_of_the_offline_scorer() -> None:
    ratings = {"r1": "8", "r2": "7", "w1": "5"}
    told = judged(Mode.RATING, lambda asked: ratings[asked.values["answer"]], TIED, REFERENCE)
    expected = rewardbench2.score([], [rewardbench2.Tied("7", False, 2, (8, 7, 5)), rewardbench2.Tied("7", True, 1, (8, 5))])
    assert told.official == expected.official
    assert told.parts["Ties"].correct == 2


def rated_pair(name: str, subset: str | None, chosen: str, rejected: str) -> Contest:
    return rated_alone(HeldOut(id=name, instruction="x?", chosen=chosen, rejected=rejected, subset=subset))


def by_text(asked: Question) -> str | None:
    """A judge whose rating is the answer's first word; of none it says nothing."""
    word = asked.values["answer"].split()[0]
    return None if word == "none" else word


def test_a_pair_whose_answers_are_rated_alone() -> None:
    """Right, wrong, equal, one without a rating on either side, and none."""
    sides = [("9", "2"), ("2", "9"), ("5", "5"), ("5", "none"), ("none", "5"), ("none", "none")]
    pairs = [rated_pair(f"{number}", "s" if number else None, *both) for number, both in enumerate(sides)]
    told = judged(Mode.RATING, by_text, *pairs, layout=PairFormat.PAIRS)
    assert (told.overall.correct, told.overall.total, told.overall.unparsed, told.overall.effective) == (1, 6, 3, None)
    assert {name: (part.correct, part.total) for name, part in told.parts.items()} == {"s": (0, 5)}
    assert (told.official, told.always_a.correct) == (None, 0)
    assert told.random == pytest.approx(6 * (1 - 0.1) / 2), "of ten ratings the same two are drawn once in ten"
    assert told.longer_wins.correct == 1, "of none and 5 the former"


def test_rated_pairs_of_one_item_are_no_independent_witnesses() -> None:
    """Both answers of each cell are rated alike, so an item's nine stand and fall together."""
    cells = [f"math/{n}/{i}-{j}" for n in range(8) for i in range(3) for j in range(3)]
    pairs = [rated_pair(cell, "math", *(("9", "2") if int(cell[5]) % 2 else ("2", "9"))) for cell in cells]
    told = judged(Mode.RATING, by_text, *pairs, layout=PairFormat.RM_BENCH)
    assert (told.overall.correct, told.overall.total) == (36, 72)
    assert told.overall.effective == pytest.approx(8, abs=1)


def test_baselines() -> None:
    told = judged(Mode.RANKING, best, *(ITEM._replace(id=f"Math/{number}") for number in range(40)), TIED)
    at_a = sum(stored_position(f"Math/{number}") == 0 for number in range(40))
    assert (told.always_a.correct, told.always_a.a_verdicts) == (at_a, 40)
    assert told.longer_wins.correct == 0, "all of the tied item's answers are equally long"
    assert told.random == pytest.approx(40 / 4 + by_chance(2, 1, Mode.RATING)), "Ties are rated in every mode"
    assert judged(Mode.PAIRWISE, best, ITEM).always_a.correct == 0, "who always says A wins and loses every match once"


@pytest.mark.parametrize(("right", "mode"), [(1, Mode.PAIRWISE), (1, Mode.RANKING), (1, Mode.RATING), (2, Mode.RATING)])
def test_chance_is_what_a_judge_that_draws_would_have_right(right: int, mode: Mode) -> None:
    draw, runs = random.Random(3), 3000
    contest = ITEM._replace(right=["right"] * right)
    said = {"rating": [str(mark) for mark in range(1, 11)], "ranking": ["A", "B", "C", "D"], "judge": ["A", "B"]}
    hits = sum(outcome({asked.key: [draw.choice(said[asked.prompt])] for asked in questions(contest, mode)}).right for _ in range(runs))
    assert hits / runs == pytest.approx(by_chance(right, 3, mode), abs=0.03)


def test_both_readings_are_told() -> None:
    words = {asked.key: [Heard(None, asked.gold)] for asked in questions(ITEM, Mode.RANKING)}
    told = result("b", 1, PairFormat.REWARDBENCH2, Mode.RANKING, [(ITEM, words)])
    assert (told.overall.correct, told.lenient.correct, told.disagreements) == (0, 1, 1)


@given(st.lists(st.tuples(st.sampled_from(sorted(rewardbench2.COUNTS)), st.sampled_from(["1", "5", "9", None])), min_size=1, max_size=12))
def test_parts_add_up(drawn: list[tuple[str, str | None]]) -> None:
    items = [Contest(f"{subset}/ref:{number}", subset, str(said), ("r",), ("a", "b", "c")) for number, (subset, said) in enumerate(drawn)]
    told = judged(Mode.RATING, lambda asked: None if asked.values["instruction"] == "None" else asked.values["instruction"], *items)
    for count in ("correct", "total", "unparsed"):
        assert getattr(told.overall, count) == sum(getattr(part, count) for part in told.parts.values())
    assert told.overall.total == len(items)
