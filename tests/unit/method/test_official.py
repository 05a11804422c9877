"""A benchmark's own score from rulings in both orders: the same as from rows that its own code would have made."""

from collections.abc import Mapping
from itertools import product

import pytest

from selftrain.api.pair_files import PairFormat
from selftrain.api.records import Order, Verdict
from selftrain.method.benchmarks import rewardbench, rmbench
from selftrain.method.contests import Contest, outcome
from selftrain.method.official import official, official_of_contests, stored_order
from selftrain.method.scoring import Ruling
from selftrain.method.stats import wilson

A, B = Verdict.A, Verdict.B


def ruled(name: str, subset: str, first: Verdict | None, second: Verdict | None) -> list[Ruling]:
    return [Ruling(name, subset, order, verdict, 1, 1, lenient=verdict) for order, verdict in ((Order.AB, first), (Order.BA, second))]


def test_plain_pairs_have_no_score_of_their_own() -> None:
    assert official(PairFormat.PAIRS, ruled("1", "", A, B), {}) is None
    assert official(PairFormat.HELPSTEER2, ruled("1", "", A, B), {}) is None


def test_rewardbench_counts_one_order_an_item_and_half_for_no_verdict() -> None:
    names = [f"{subset}/{number}" for subset, count in rewardbench.COUNTS.items() for number in range(count)]
    orders = [stored_order(name) for name in names]
    assert 0.45 < sum(order is Order.AB for order in orders) / len(orders) < 0.55
    always_a = [row for name in names for row in ruled(name, name.partition("/")[0], A, A)]
    silent = [row for name in names for row in ruled(name, name.partition("/")[0], None, None)]
    scored = official(PairFormat.REWARDBENCH, always_a, {})
    assert scored is not None
    assert scored.complete
    assert scored.parts["hep-go"] == sum(stored_order(f"hep-go/{number}") is Order.AB for number in range(164)) / 164
    told = official(PairFormat.REWARDBENCH, silent, {})
    assert told is not None
    assert told.overall == pytest.approx(0.5)


def test_the_lenient_reading_makes_the_score_as_the_official_code_does() -> None:
    """It said both letters: our reading takes no verdict from that, RewardBench's takes A."""
    said_both = Ruling("hep-go/1", "hep-go", stored_order("hep-go/1"), None, 1, 1, lenient=stored_order("hep-go/1").gold)
    scored = official(PairFormat.REWARDBENCH, [said_both], {})
    assert scored is not None
    assert scored.parts["hep-go"] == 1


def test_prior_sets_make_a_second_overall_score() -> None:
    """The paper's seed is known by the one that counts them, its judge by the other."""
    right = [row for subset in ("math-prm", "shp") for row in ruled(f"{subset}/1", subset, A, B)]
    scored = official(PairFormat.REWARDBENCH, right, {})
    assert scored is not None
    assert scored.overall == 1 / 4
    assert scored.beside == {"with Prior Sets": pytest.approx(1.5 / 4.5)}
    without = official(PairFormat.REWARDBENCH, right[:2], {})
    assert without is not None
    assert without.beside is None


def test_judgebench_lets_one_right_order_outweigh_a_missing_one() -> None:
    rulings = [
        *ruled("1", "mmlu-pro", A, None),
        *ruled("2", "mmlu-pro", A, A),
        *ruled("3", "mmlu-pro", A, B),
        *ruled("4", "mmlu-pro", B, A),
    ]
    scored = official(PairFormat.JUDGEBENCH, rulings, {})
    assert scored is not None
    assert (scored.overall, scored.parts) == (0.5, {"mmlu-pro": 0.5})
    assert scored.beside == {"strict": 0.25, "strict mmlu-pro": 0.25}
    assert (scored.count, scored.counts) == (4, {"mmlu-pro": 4})
    assert scored.intervals == {"mmlu-pro": pytest.approx(wilson(2, 4))}


def test_rm_bench_wins_by_order() -> None:
    """The judge always takes the fancier answer, and the first one of two alike."""
    rulings = []
    for domain, i, j in product(rmbench.DOMAINS, rmbench.STYLES, rmbench.STYLES):
        verdicts = (A, B) if i > j else (B, A) if i < j else (A, A)
        rulings += ruled(rmbench.cell_name(f"{domain}/1", i, j), domain, *verdicts)
    scored = official(PairFormat.RM_BENCH, rulings, {})
    assert scored is not None
    assert {level: scored.parts[level] for level in rmbench.LEVELS} == {"easy": 1, "normal": 0.5, "hard": 0}
    assert scored.overall == pytest.approx(0.5)


RATED = {"right": ("9", "2"), "wrong": ("2", "9"), "tie": ("5", "5"), "none": (None, None), "half": ("5", None)}


@pytest.mark.parametrize(
    ("layout", "names", "subset", "worth"),
    [
        (PairFormat.REWARDBENCH, ["1"], "hep-go", {"right": 1, "wrong": 0, "tie": 0.5, "none": 0.5, "half": 0.5}),
        (PairFormat.JUDGEBENCH, ["1"], "mmlu-pro", {"right": 1, "wrong": 0, "tie": 0, "none": 0, "half": 0}),
        (
            PairFormat.RM_BENCH,
            [rmbench.cell_name("chat/1", i, j) for i in rmbench.STYLES for j in rmbench.STYLES],
            "chat",
            {"right": 1, "wrong": 0, "tie": 0, "none": 0, "half": 0},
        ),
        (PairFormat.HELPSTEER2, ["1"], "", {}),
    ],
)
def test_ratings_are_scored_as_the_benchmark_scores_its_own(
    layout: PairFormat, names: list[str], subset: str, worth: Mapping[str, float]
) -> None:
    """JudgeBench and RM-Bench have scores of single answers too, and count equal ones as wrong; RewardBench's half is for no verdict.

    That is what its code gives a pair of which one rating is missing ("error" in run_judge_ratings), or whose ratings are equal.
    """
    for case, (chosen, rejected) in RATED.items():
        own = outcome({"right-1": [chosen], "wrong-1": [rejected]})
        told = official_of_contests(layout, [(Contest(name, subset, "x?", ("r",), ("w",)), own) for name in names])
        assert (told and told.parts[subset]) == worth.get(case), case


def test_mt_bench_is_agreement_with_every_person() -> None:
    """Opposite verdicts in the two orders are a tie, and a missing one agrees with nobody."""
    rulings = [*ruled("1", "turn 1", A, B), *ruled("2", "turn 1", A, A), *ruled("3", "turn 2", B, A), *ruled("4", "turn 2", None, B)]
    people = {"1": ["chosen", "chosen", "rejected"], "2": ["tie", "chosen"], "3": ["rejected"], "4": ["chosen"]}
    scored = official(PairFormat.MT_BENCH, rulings, people)
    assert scored is not None
    assert scored.overall == pytest.approx(4 / 7)
    assert scored.beside == {"without ties": pytest.approx(3 / 5)}
    assert scored.parts == pytest.approx(
        {"turn 1 with ties": 3 / 5, "turn 1 without ties": 2 / 3, "turn 2 with ties": 1 / 2, "turn 2 without ties": 1 / 2}
    )
