"""What the study says of its runs: counts worked out by hand on a few pairs."""

import pytest
from study.experiments import Experiment, experiments, given, merged
from study.plots import accuracy, held_out_lookups, training_lookups
from study.record import finished, held_out, labels, made_from, relabelled, rules_by, traces
from study.results import KINDS, costs, held_out_traces, rows, scores, votes
from study.worlds import require_skill

from selftrain.api.load import run_of

FACT, OTHER = "Mia lives in Rome.", "Tom lives in Oslo."
TRUTH = {"Where does Mia live?": FACT, "Where does Tom live?": OTHER}
PAIRS = {
    "p": {"instruction": "Where does Mia live?", "chosen": FACT, "rejected": "Mia lives in Oslo.", "kind": "disagreement"},
    "q": {"instruction": "Where does Tom live?", "chosen": "Tom lives in Rome.", "rejected": OTHER, "kind": "variation"},
}


def trace(solution, first, ruling, second, other, verdict="A"):
    return f"Solution: {solution}\nA: {first} {ruling}\nB: {second} {other}\n[[{verdict}]]"


def test_labels_are_counted_by_kind():
    assert labels(PAIRS.values(), TRUTH) == {
        "disagreement": {"pairs": 1, "chosen true": 1, "rejected true": 0},
        "variation": {"pairs": 1, "chosen true": 0, "rejected true": 1},
    }


def test_the_ceiling_learns_the_pairs_of_which_one_answer_is_true_with_that_one_as_the_better():
    untold = {"instruction": "Where does Mia live?", "chosen": "Mia lives in Oslo.", "rejected": "Mia lives in Bonn.", "kind": "error"}
    pairs = [{"pair_id": name, **pair} for name, pair in {**PAIRS, "r": untold}.items()]
    assert list(relabelled(pairs, TRUTH)) == [
        {"id": "p", "instruction": "Where does Mia live?", "chosen": FACT, "rejected": "Mia lives in Oslo."},
        {"id": "q", "instruction": "Where does Tom live?", "chosen": OTHER, "rejected": "Tom lives in Rome."},
    ]


def test_a_look_up_solves_and_rules_by_its_solution():
    wrong = PAIRS["p"]["rejected"]
    told = [
        ("p", "AB", trace(FACT, FACT, "right", wrong, "wrong")),
        ("p", "BA", trace(FACT, wrong, "wrong", FACT, "right", "B")),
        ("p", "AB", trace(FACT, FACT, "wrong", wrong, "right", "B")),
        ("p", "AB", trace(wrong, FACT, "right", wrong, "wrong")),
        ("q", "AB", "[[A]]"),
    ]
    assert traces(told, PAIRS, TRUTH) == {
        "disagreement": {"traces": 4, "solved": 3, "look-ups": 2},
        "variation": {"traces": 1, "solved": 0, "look-ups": 0},
    }


@pytest.mark.parametrize(("order", "expected"), [("AB", True), ("BA", False)])
def test_rulings_belong_to_the_answers_as_shown(order, expected):
    assert rules_by(FACT, PAIRS["p"], order, trace(FACT, FACT, "right", PAIRS["p"]["rejected"], "wrong")) is expected


def test_maps_are_merged_and_null_takes_away():
    both = merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3, "c": None}, "d": None, "e": 4})
    assert both == {"a": {"b": 3, "c": None}, "d": None, "e": 4}, "what is taken away stays so when it is merged into another one"
    assert given(both) == {"a": {"b": 3}, "e": 4}


def test_every_experiment_is_a_manifest_of_its_own():
    found = list(experiments())
    assert len(found) >= 9
    assert len({experiment.run for experiment in found}) == len(found)
    for experiment in found:
        assert run_of(experiment.manifest()).spec.seed == experiment.seed
    sources = {one.name: {"instructions", "labelled"} & one.manifest()["spec"].keys() for one in found}
    alone, both = ({name for name, used in sources.items() if used == wanted} for wanted in ({"labelled"}, {"instructions", "labelled"}))
    assert (alone, both) == ({"labelled", "perfect"}, {"mixed"}), "all others have instructions alone"


def test_what_an_experiment_needs_runs_before_it():
    names = [experiment.run for experiment in experiments()]
    needed = [(experiment.source, experiment.run) for experiment in experiments() if experiment.source]
    assert needed
    assert all(names.index(source) < names.index(run) for source, run in needed)


@pytest.mark.parametrize("changed", ["manifest", "world"])
def test_a_run_is_carried_out_again_if_it_or_its_world_changes(changed):
    experiment = next(experiments())
    record = {**made_from(experiment), "iterations": []}
    assert finished(experiment, {experiment.run: record})
    assert not finished(experiment, {experiment.run: {**record, changed: "other"}})
    assert not finished(experiment, {})


def entry(iteration, hits, a_verdicts):
    return {
        "iteration": iteration,
        "kept": 2,
        "judgments": 4,
        "a_verdicts": a_verdicts,
        "seconds": {"judge": 1},
        "hits": {"held-out": hits},
    }


def test_seeds_are_pooled_and_compared():
    """facts-000 and facts-001 are off topic in the demo's benchmark, facts-005 is a near miss."""
    seed = entry(0, {"facts-000": "10", "facts-005": "10"}, 4)
    paper = {"iterations": [seed, entry(1, {"facts-000": "11", "facts-005": "10"}, 3)]}
    better = {"iterations": [seed, entry(1, {"facts-000": "11", "facts-005": "11"}, 2)]}
    done = [Experiment(name, number, {}, "demo", None) for name in ("paper", "improved") for number in (1, 2)]
    other = Experiment("restart", 1, {}, "demo", None)
    records = {"paper-1": paper, "paper-2": paper, "improved-1": better, "improved-2": paper, "restart-1": paper}
    found = rows([*done, other], records)
    by_name = {row.name: row for row in found}
    assert by_name["seed judge (demo)"].right()[:2] == (2, 4)
    assert by_name["paper"].right()[:2] == (6, 8)
    assert by_name["improved"].right()[:2] == (7, 8)
    assert by_name["improved"].right().independent == 7, "as much as the two pairs differ"
    assert by_name["improved"].strict[:2] == (3, 4)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in scores(found).splitlines()]
    assert [line[0] for line in lines[2:4]] == ["random, always A (demo)", "the longer answer (demo)"]
    assert lines[2][3].startswith("160/320 = 0.500 (0.446")
    improved, restarted = lines[-2:]
    assert improved[3].startswith("7/8 = 0.875 (")
    assert improved[4] == "4, 3"
    assert [cell.partition(" (")[0] for cell in improved[5:8]] == ["3/4 = 0.750", "4/4 = 1.000", "3/4 = 0.750"]
    assert improved[8:] == ["0.62", "+2 -0, p = 0.5", "+1 -0, p = 1", ""]
    assert restarted[9:] == ["+1 -0, p = 1", "+0 -0, p = 1", "+0 -1, p = 1"], "the same seed of each"


def test_look_ups_on_held_out_pairs_are_pooled_by_kind():
    pairs, truth = held_out("demo")
    pair = pairs["facts-005"]
    right, wrong = pair["chosen"], pair["rejected"]
    told = [("facts-005", "AB", trace(right, right, "right", wrong, ruling)) for ruling in ("wrong", "right")]
    judge = {**entry(1, {"facts-005": "11"}, 1), "evaluated": traces(told, pairs, truth)}
    runs = {name: {"iterations": [{**judge, "iteration": 0}, judge]} for name in ("paper-1", "paper-2")}
    table = held_out_traces(rows([Experiment("paper", number, {}, "demo", None) for number in (1, 2)], runs))
    assert table.splitlines()[-1] == "| paper | 1 | 4/4 = 1.00 | 2/4 = 0.50 | none | none |"


def test_plots_name_their_judges_and_equal_numbers_give_an_equal_file(tmp_path):
    seed, judge = (entry(number, {"facts-000": "10", "facts-005": "10"}, 4) for number in (0, 1))
    counts = {"variation": {"traces": 4, "solved": 3, "look-ups": 2}}
    of_both = dict.fromkeys(KINDS, counts["variation"])
    record = {"iterations": [{**seed, "evaluated": of_both}, {**judge, "judged": counts, "learnt": counts, "evaluated": of_both}]}
    found = rows([Experiment("paper", 1, {}, "demo", None)], {"paper-1": record})
    for draw in (accuracy, held_out_lookups, training_lookups):
        first, second = tmp_path / "1.svg", tmp_path / "2.svg"
        draw(found, first)
        draw(found, second)
        assert "paper, iteration 1" in first.read_text()
        assert first.read_bytes() == second.read_bytes()


def test_what_is_not_about_a_benchmark_is_told_once(tmp_path):
    judge = entry(1, {"facts-000": "10", "facts-005": "10"}, 4)
    judge["hits"]["vote-8"] = {"facts-000": "11", "facts-005": "10"}
    record = {"iterations": [{**judge, "iteration": 0}, {**judge, "judged": {}, "learnt": {}}]}
    found = rows([Experiment("votes", 1, {}, "demo", None)], {"votes-1": record})
    assert [(row.name, row.benchmark, row.first) for row in found[2:]] == [("votes", "held-out", True), ("votes", "vote-8", False)]
    assert len(costs(found).splitlines()) == 3
    assert [line.split("|")[1:4] + line.split("|")[-2:-1] for line in votes(found).splitlines()[2:]] == [
        [f" {name} ", f" {number} ", " vote-8 ", " +1 -0, p = 1 "] for name, number in (("seed judge (demo)", 0), ("votes", 1))
    ]
    accuracy(found, tmp_path / "1.svg")
    assert ">votes, iteration 1, vote-8<" in (tmp_path / "1.svg").read_text()


def test_a_seed_that_solves_too_little_is_refused() -> None:
    found = {"facts": {"right": 128, "of": 128, "share": 1.0}, "sums": {"right": 49, "of": 64, "share": 0.766}}
    require_skill({"looking-up": found}, 0.75)
    with pytest.raises(SystemExit, match=r"\{'sums': 0.766\}: train another one"):
        require_skill({"looking-up": found}, 0.9)
