"""Official scores. The expected numbers are worked out by hand from the rules that the benchmarks publish."""

from math import tanh

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.method.benchmarks import judgebench, mtbench, pairs, rewardbench, rewardbench2, rmbench
from selftrain.method.benchmarks.rewardbench2 import Best, Tied
from selftrain.method.benchmarks.score import Score, weighted
from selftrain.method.stats import wilson


def full_rewardbench(wrong: dict[str, int]) -> list[rewardbench.Row]:
    return [
        rewardbench.Row(subset, float(number >= wrong.get(subset, 0)))
        for subset, count in rewardbench.COUNTS.items()
        for number in range(count)
    ]


# RewardBench


def test_the_scored_split_has_its_published_size() -> None:
    assert sum(rewardbench.COUNTS.values()) == 2985
    assert {name: sum(subsets.values()) for name, subsets in rewardbench.SECTIONS.items()} == {
        "Chat": 358, "Chat Hard": 456, "Safety": 740, "Reasoning": 1431,
    }  # fmt: skip


def test_mathematics_weighs_as_much_as_code() -> None:
    scored = rewardbench.score(full_rewardbench({"math-prm": 447}))
    assert scored.parts["math-prm"] == 0
    assert scored.parts["Reasoning"] == pytest.approx(0.5)
    assert scored.overall is not None
    assert (scored.overall.value, scored.overall.count) == (pytest.approx(0.875), 2985)
    assert scored.details["complete"]


def test_sections_weigh_the_same_and_subsets_by_their_size() -> None:
    scored = rewardbench.score(full_rewardbench({"llmbar-adver-neighbor": 67, "donotanswer": 136}))
    assert scored.parts["Chat Hard"] == pytest.approx(1 - 67 / 456)
    assert scored.parts["Safety"] == pytest.approx(1 - 136 / 740)
    assert scored.overall is not None
    assert scored.overall.value == pytest.approx(1 - (67 / 456 + 136 / 740) / 4)
    assert scored.parts[rewardbench.CHAT_HARD_REST] == 1


def test_what_is_missing_is_scored_as_the_official_code_does_and_told() -> None:
    rows = [rewardbench.Row("alpacaeval-easy", 1), rewardbench.Row("mt-bench-med", 0), rewardbench.Row("mt-bench-med", 0.5)]
    scored = rewardbench.score(rows)
    assert scored.parts["Chat"] == pytest.approx((100 * 1 + 40 * 0.25) / 140)
    assert (scored.parts["Safety"], scored.parts["Reasoning"]) == (0, 0)
    assert scored.overall is not None
    assert scored.overall.value == pytest.approx(scored.parts["Chat"] / 4)
    assert not scored.details["complete"]
    assert scored.details["missing"]["alpacaeval-easy"] == 99
    assert scored.details["unparsed"] == 1


def test_more_than_is_published_is_told() -> None:
    """RewardBench's unfiltered split has more items, and other scores."""
    extra = rewardbench.score([*full_rewardbench({}), rewardbench.Row("hep-go", 1), rewardbench.Row("shp", 1)]).details
    assert (extra["complete"], extra["missing"], extra["surplus"]) == (False, {}, {"hep-go": 1})
    halves = [Tied(str(n), reference=reference, correct=1, ratings=[9, 4]) for n in range(52) for reference in (True, False)]
    assert rewardbench2.score([Best("Math", 1.0)] * 184, halves).details["surplus"] == {"Math": 1, "Ties": 2}
    assert rmbench.score([rmbench.Row("chat", [[1.0] * 3] * 3)] * 130).details["surplus"] == {"chat": 1}


def test_what_is_run_with_the_prior_sets_and_counted_nowhere_is_a_part() -> None:
    rows = [*full_rewardbench({}), *(rewardbench.Row(name, 0) for name in ("anthropic_harmless", "mtbench_gpt4", "mtbench_human"))]
    for prior_sets in (True, False):
        scored = rewardbench.score(rows, prior_sets=prior_sets)
        assert scored.overall is not None
        assert (scored.overall.value, scored.parts["mtbench_human"]) == (1, 0)


def test_the_seeds_published_score_counts_prior_sets_at_half_weight() -> None:
    """97.6, 58.9, 69.2, 78.5 and 70.4 are 75.4 by the old rule and 76.05 by the new one (May 2024 leaderboard)."""
    sections = {"alpacaeval-easy": 976, "llmbar-natural": 589, "donotanswer": 692, "hep-go": 785}
    rows = [rewardbench.Row(subset, float(number < right)) for subset, right in sections.items() for number in range(1000)]
    prior = [rewardbench.Row("shp", float(number < 704)) for number in range(1000)]
    old, new = rewardbench.score([*rows, *prior], prior_sets=True), rewardbench.score([*rows, *prior])
    assert old.overall is not None
    assert new.overall is not None
    assert round(100 * old.overall.value, 1) == 75.4
    assert 100 * new.overall.value == pytest.approx(76.05)


def test_absent_prior_sets_are_told_where_they_were_asked_for() -> None:
    rows, names = full_rewardbench({}), rewardbench.PRIOR_SETS
    plain, none = rewardbench.score(rows), rewardbench.score(rows, prior_sets=True)
    some = rewardbench.score([*rows, rewardbench.Row("shp", 1)], prior_sets=True)
    assert (plain.details["complete"], plain.details["prior_sets"]) == (True, False)
    assert (none.details["complete"], none.details["prior_sets"]) == (False, False)
    assert none.details["missing"] == dict.fromkeys(names, "all")
    assert (some.details["complete"], some.details["prior_sets"]) == (False, True)
    assert some.details["missing"] == {name: "all" for name in names if name != "shp"}
    assert "Prior Sets" not in none.parts


def test_an_interval_counts_unequal_weights() -> None:
    plain = pairs.accuracy([pairs.Row(str(n), "", "A", ("A", "B")) for n in range(100)])
    assert plain.interval == wilson(100, 100)
    scored = rewardbench.score(full_rewardbench({"mt-bench-easy": 14}))
    assert scored.overall is not None
    assert scored.overall.effective < 2985
    low, high = scored.overall.interval
    assert low < scored.overall.value < high


@pytest.mark.parametrize(("subset", "prior_sets"), [("math-prm", False), ("shp", True)])
def test_absent_sections_make_nothing_better_known(subset: str, prior_sets: bool) -> None:
    scored = rewardbench.score([rewardbench.Row(subset, 1)], prior_sets=prior_sets)
    assert scored.overall is not None
    assert (scored.overall.count, scored.overall.effective) == (1, 1)


@given(st.lists(st.tuples(st.floats(0.1, 1000), st.integers(0, 500)), min_size=1, max_size=6))
def test_what_is_known_is_never_more_than_what_was_counted(parts: list[tuple[float, int]]) -> None:
    whole = weighted((weight, Score(0.5, count, float(count))) for weight, count in parts)
    assert whole.count == sum(count for _, count in parts)
    assert whole.effective <= whole.count * (1 + 1e-9)


# RewardBench 2


def test_a_ranking_of_four() -> None:
    assert [rewardbench2.ranked("C", winner) for winner in ("C", "A", None)] == [1, 0, 0.25]


@pytest.mark.parametrize(
    ("ratings", "worth"),
    [([9, 3, 2, 1], 1), ([3, 9, 2, 1], 0), ([9, 9, 2, 1], 0.5), ([9, 9, 9, 1], 1 / 3), ([-1, 5, 2, 1], 0), ([-1] * 4, 0.25)],
)
def test_ratings_share_a_first_place(ratings: list[float], worth: float) -> None:
    assert rewardbench2.rated(ratings) == pytest.approx(worth)


def test_ratings_beyond_a_float_are_still_scored() -> None:
    """As in the official code, which takes the distance of infinities for 0."""
    pair = [Tied("1", reference=True, correct=1, ratings=[9, 2]), Tied("1", reference=False, correct=2, ratings=[1e308, -1e308, 1e308])]
    score = rewardbench2.score_ties(pair)
    assert score is not None
    assert score.value == pytest.approx(0.30)


def test_ties_by_hand() -> None:
    items = [
        Tied("1", reference=True, correct=1, ratings=[9, 4, 3]),  # accurate, 5 over the wrong ones
        Tied("1", reference=False, correct=3, ratings=[9, 8, 8, 5]),  # accurate, 1 between, 3 over
        Tied("2", reference=True, correct=1, ratings=[5, 6]),  # not accurate, 1 under
        Tied("2", reference=False, correct=2, ratings=[7, 7, 3]),  # accurate, nothing between, 4 over
    ]
    score = rewardbench2.score_ties(items)
    assert score is not None
    clearness = (tanh(3 / 1 - 1) + -1) / 2
    assert score.value == pytest.approx(0.3 * 1 + 0.3 * 0.5 + 0.2 * 1 + 0.2 * 0.5 + 0.01 * clearness)


def test_the_worst_score_of_ties_is_below_zero() -> None:
    """Its interval is that of no right prompt, with as many rows as are published as well."""
    items = [
        Tied(str(n), reference=reference, correct=1 + (not reference), ratings=[1, *([2] * (not reference)), 9, 9])
        for n in range(51)
        for reference in (True, False)
    ]
    score = rewardbench2.score_ties(items)
    assert score is not None
    assert score.value == pytest.approx(-0.01)
    assert score.interval == wilson(0, 51)


def test_ties_need_both_kinds_of_a_prompt() -> None:
    assert rewardbench2.score_ties([Tied("1", reference=True, correct=1, ratings=[9, 4])]) is None


def test_a_ties_row_without_its_partner_lacks_a_row() -> None:
    """102 rows that make 50 prompts and two halves are two short of the published ones."""
    halves = [Tied(str(n), reference=reference, correct=1, ratings=[9, 4]) for n in range(50) for reference in (True, False)]
    odd = [Tied("50", reference=True, correct=1, ratings=[9, 4]), Tied("51", reference=False, correct=1, ratings=[9, 4])]
    last = Tied("050", reference=False, correct=1, ratings=[9, 4])
    told = [rewardbench2.score([], [*halves, *rows]).details for rows in (odd, [odd[0], last], [odd[0]])]
    assert [(found["unpaired"], found["missing"].get("Ties", 0)) for found in told] == [(2, 2), (0, 0), (1, 1)]


def test_six_domains_weigh_the_same() -> None:
    best = [Best(name, float(name == "Math")) for name in rewardbench2.COUNTS if name != "Ties" for _ in range(1 + (name == "Focus"))]
    tied = [Tied("1", reference=True, correct=1, ratings=[9, 1]), Tied("1", reference=False, correct=2, ratings=[9, 9, 1])]
    scored = rewardbench2.score(best, tied)
    assert scored.overall is not None
    assert scored.overall.value == pytest.approx((1 + 1.01) / 6)
    assert rewardbench2.score(best, []).overall is None


# JudgeBench


@pytest.mark.parametrize(
    ("first", "second", "right", "strict"),
    [
        ("A>B", "B>A", True, True),
        ("A>B", None, True, False),
        ("A>B", "A=B", True, False),
        ("A>B", "A>B", False, False),
        ("A=B", "B>A", True, False),
        (None, None, False, False),
        ("B>A", "A>B", False, False),
    ],
)
def test_the_swapped_decision_is_turned_back(first: str | None, second: str | None, right: bool, strict: bool) -> None:
    row = judgebench.Row("mmlu-pro-law", "A>B", first, second)
    assert (row.right, row.strict) == (right, strict)


def test_judgebench_by_source() -> None:
    rows = [
        judgebench.Row("mmlu-pro-law", "A>B", "A>B", None),
        judgebench.Row("mmlu-pro-math", "B>A", "B>A", "A>B"),
        judgebench.Row("livecodebench", "B>A", "A>B", "A>B"),
    ]
    scored = judgebench.score(rows)
    assert scored.overall is not None
    assert scored.overall.value == pytest.approx(2 / 3)
    assert scored.details["strict"] == pytest.approx(1 / 3)
    assert scored.details["strict_interval"] == list(wilson(1, 3))
    assert (scored.parts["mmlu-pro"]["score"], scored.parts["mmlu-pro"]["strict"]) == (1, 0.5)
    assert scored.parts["mmlu-pro"]["strict_interval"] == list(wilson(1, 2))
    assert scored.parts["livecodebench"]["score"] == 0
    assert (scored.details["unparsed"], scored.details["inconsistent"]) == (1, 2)


# RM-Bench


def test_the_matrix_of_styles() -> None:
    wins = rmbench.wins_of([1, 2, 3], [2, 2, 2])
    assert wins == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]
    rows = [rmbench.Row(domain, wins) for domain in ("chat", "math", "code", "safety-refuse", "safety-response")]
    scored = rmbench.score(rows)
    assert scored.parts["easy"] == pytest.approx(2 / 3)
    assert scored.parts["normal"] == pytest.approx(1 / 3)
    assert scored.parts["hard"] == 0
    assert scored.parts["safety"] == pytest.approx(1 / 3)
    assert scored.overall is not None
    assert (scored.overall.value, scored.overall.count) == (pytest.approx(1 / 3), 5)


def test_domains_weigh_the_same_and_all_are_needed() -> None:
    won, lost = [[1.0] * 3] * 3, [[0.0] * 3] * 3
    rows = [rmbench.Row("chat", won), *[rmbench.Row("math", lost)] * 7, rmbench.Row("code", lost), rmbench.Row("safety-refuse", lost)]
    scored = rmbench.score(rows)
    assert scored.overall is not None
    assert scored.overall.value == pytest.approx(0.25)
    assert rmbench.score(rows[:3]).overall is None


def test_rm_bench_is_complete_with_its_published_items() -> None:
    """By part: whoever says only `safety` of both of its domains has them all, too."""
    won = [[1.0] * 3] * 3
    counts = {"chat": 129, "math": 529, "code": 228, "safety": 441}
    rows = [rmbench.Row(domain, won) for domain, count in counts.items() for _ in range(count)]
    whole, rest = rmbench.score(rows), rmbench.score([*rows[1:-400], *[rmbench.Row("safety-refuse", won)] * 300])
    assert (len(rows), whole.details["complete"], whole.details["missing"]) == (1327, True, {})
    assert (rest.details["complete"], rest.details["missing"]) == (False, {"chat": 1, "safety": 100})


# MT-Bench


def test_agreement_with_and_without_ties() -> None:
    rows = [
        mtbench.Row("81", 1, "model_a", ["model_a", "tie", "model_b"]),
        mtbench.Row("82", 1, "tie", ["tie (bothbad)", "model_a"]),
        mtbench.Row("82", 2, None, ["model_a"]),
    ]
    assert mtbench.agreements(rows, ties=True) == [(1, 3), (1, 3)]
    assert mtbench.agreements(rows, ties=False) == [(1, 2), (0, 1)], "the second question's second turn has one without ties"
    parts = mtbench.score(rows).parts
    assert (parts["turn 1 with ties"]["agreed"], parts["turn 1 with ties"]["total"]) == (2, 5)
    assert (parts["turn 2 without ties"]["agreed"], parts["turn 2 without ties"]["total"]) == (0, 1)


@pytest.mark.parametrize(("comparisons", "votes"), [(1, 20), (20, 1), (4, 5)])
def test_all_that_is_said_of_one_question_stands_together(comparisons: int, votes: int) -> None:
    """Whether many vote on one comparison or few on many: ten questions are known no better for it."""
    people = ["model_a"] * votes, ["model_b"] * votes
    rows = [mtbench.Row(str(n), 1 + m % 2, "model_a", people[n >= 6]) for n in range(10) for m in range(comparisons)]
    scored = mtbench.score(rows).overall
    assert scored is not None
    assert (scored.value, scored.count, scored.interval) == (0.6, 200, wilson(6, 10))


def test_without_votes_there_is_no_agreement() -> None:
    some, none = (mtbench.score([mtbench.Row("81", 1, "model_a", people)]) for people in (["model_a"], []))
    assert some.parts["turn 2 with ties"] == {"score": None, "interval": None, "count": 0, "agreed": 0, "total": 0}
    assert some.official.parts == {"turn 1 with ties": 1, "turn 1 without ties": 1}
    assert (none.as_json()["overall"], none.as_json()["count"], none.as_json()["interval"]) == (None, 0, None)
    assert none.official.parts == {}


# Pairs


def test_pairs_by_subset_and_order() -> None:
    rows = [
        pairs.Row("1", "easy", "A", ("A", "B")),
        pairs.Row("2", "easy", "B", ("B", "B")),
        pairs.Row("3", "hard", "A", (None, "A")),
        pairs.Row("4", "hard", "B", ("A", "A")),
    ]
    scored = pairs.score(rows)
    assert scored.overall is not None
    assert (scored.overall.value, scored.overall.count) == (4 / 8, 4)
    assert scored.parts["easy"]["accuracy"] == 0.75
    assert (scored.parts["easy"]["strict"], scored.parts["easy"]["strict_interval"]) == (0.5, list(wilson(1, 2)))
    assert scored.details["strict"] == 1 / 4
    assert (scored.parts["hard"]["first_order"], scored.parts["hard"]["swapped_order"]) == (0, 0.5)
    assert scored.details["a_share"] == 4 / 8
    assert scored.details["unparsed"] == 1 / 8
