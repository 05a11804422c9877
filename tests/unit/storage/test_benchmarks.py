"""Held-out pairs from files in their published layouts."""

from collections import Counter
from pathlib import Path

import pytest

from helpers.files import WRITERS, Row, Writer, as_lines
from helpers.published import BEST_OF_FOUR, PAIR, ROWS, TIED, VOTE, said
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.pair_files import PairFormat
from selftrain.api.records import Drop
from selftrain.method.contests import Contest
from selftrain.method.pairs import has_winner
from selftrain.storage.benchmarks import read_benchmark, read_contests, read_items


@WRITERS
def test_a_benchmark_is_read_with_its_subsets(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "file", [PAIR | {"more": 1}, PAIR | {"id": "p2", "subset": None}])
    assert read_benchmark(path) == [PAIR, PAIR | {"id": "p2", "subset": None}]


@WRITERS
def test_the_subset_is_optional_and_ids_may_be_numbers(tmp_path: Path, write: Writer) -> None:
    rows = [{name: value for name, value in PAIR.items() if name != "subset"} | {"id": number} for number in (0, 1)]
    assert [(row["id"], row["subset"]) for row in read_benchmark(write(tmp_path / "file", rows))] == [("0", None), ("1", None)]


@WRITERS
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "p1"}, "2: id p1 has been used before"),
        ({"chosen": ""}, "2: column chosen has no text"),
        ({"rejected": " "}, "2: column rejected has no text"),
        ({"instruction": None}, "2: column instruction has no text"),
        ({"rejected": "good"}, "2: chosen and rejected are the same"),
        ({"id": ""}, "2: column id"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(tmp_path: Path, write: Writer, change: Row, says: str) -> None:
    path = write(tmp_path / "file", [PAIR, PAIR | {"id": "p2"} | change])
    with pytest.raises(UserError, match=says) as caught:
        read_benchmark(path)
    assert caught.value.reason is Reason.BENCHMARK_INVALID


@WRITERS
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "x", "chosen": "good", "rejected": "bad"},
        {"instruction": None, "prompt": "x", "chosen": "good", "rejected": "bad", "id": None},
        {"prompt": "other", "instruction": "x", "chosen": "good", "rejected": "bad"},
        {"prompt": "x", "chosen": said("x", "good"), "rejected": said("x", "bad")},
        {"chosen": said("x", "good"), "rejected": said("x", "bad")},
        {"prompt": said("x"), "chosen": said("", "good")[1:], "rejected": said("", "bad")[1:]},
    ],
    ids=str,
)
def test_files_of_preferences_as_people_have_them(tmp_path: Path, write: Writer, row: Row) -> None:
    """No id, the instruction as a prompt, and any of the three as a conversation."""
    pairs = read_benchmark(write(tmp_path / "file", [row, row]))
    assert [pair["id"] for pair in pairs] == ["#1", "#2"]
    assert {(pair["instruction"], pair["chosen"], pair["rejected"]) for pair in pairs} == {("x", "good", "bad")}


def test_what_was_said_before_both_answers_is_shown(tmp_path: Path) -> None:
    row = {"prompt": "u", "chosen": said("u", "v", "w", "good"), "rejected": said("u", "v", "w", "bad")}
    [pair] = read_benchmark(as_lines(tmp_path / "file", [row]))
    assert (pair["instruction"], pair["chosen"]) == ("User: u\n\nAssistant: v\n\nUser: w", "good")


@WRITERS
@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "x", "chosen": "good", "rejected": said("x", " ")}, "1: column rejected has no text"),
        (
            {"chosen": said("x", "good", "thanks"), "rejected": said("x", "bad")},
            "1: column chosen does not end with a text of the assistant",
        ),
        ({"chosen": said("x", "good"), "rejected": said("y", "bad")}, "1: chosen and rejected answer different conversations"),
        ({"chosen": said(" ", "good"), "rejected": said(" ", "bad")}, "1: the conversation before the answers asks for nothing"),
        ({"chosen": "good", "rejected": "bad"}, "1: there is no column instruction"),
    ],
    ids=str,
)
def test_preferences_that_cannot_be_scored_are_named(tmp_path: Path, write: Writer, row: Row, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_benchmark(write(tmp_path / "file", [row]))


@WRITERS
def test_a_missing_column_is_named(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "file", [{name: value for name, value in PAIR.items() if name != "rejected"}])
    with pytest.raises(UserError, match="column rejected"):
        read_benchmark(path)


def test_an_empty_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it has no rows") as caught:
        read_benchmark(as_lines(tmp_path / "file", []))
    assert caught.value.reason is Reason.BENCHMARK_INVALID


@pytest.mark.parametrize("subset", ["anthropic_helpful", "anthropic_hhh", "shp", "summarize"])
def test_prior_sets_are_subsets_of_rewardbench(tmp_path: Path, subset: str) -> None:
    [row] = ROWS[PairFormat.REWARDBENCH]
    [pair] = read_benchmark(as_lines(tmp_path / "file", [row | {"subset": subset}]), PairFormat.REWARDBENCH)
    assert (pair["id"], pair["subset"]) == (f"{subset}/7", subset)


def test_a_prompt_that_is_a_conversation_is_refused(tmp_path: Path) -> None:
    """As prior sets are published."""
    row = ROWS[PairFormat.REWARDBENCH][0] | {"subset": "shp", "prompt": said("x")}
    with pytest.raises(UserError, match="line 1: column prompt has no text"):
        read_benchmark(as_lines(tmp_path / "file", [row]), PairFormat.REWARDBENCH)


EQUAL: dict[PairFormat, Row] = {
    PairFormat.REWARDBENCH: {"rejected": "good"},
    PairFormat.JUDGEBENCH: {"response_A": "b"},
    PairFormat.RM_BENCH: {"rejected": ["r0", "c0", "r2"]},
    PairFormat.MT_BENCH: {"conversation_b": VOTE["conversation_a"]},
    PairFormat.REWARDBENCH2: {"rejected": ["a", "r", "b"]},
}


@pytest.mark.parametrize("layout", EQUAL)
def test_equal_answers_count_in_a_published_benchmark(tmp_path: Path, layout: PairFormat) -> None:
    """As in its own score: the Claude file of JudgeBench has such a pair."""
    [row, *rows] = ROWS[layout]
    whole, equal = (as_lines(tmp_path / name, [one, *rows]) for name, one in (("whole", row), ("equal", row | EQUAL[layout])))
    assert len(read_items(equal, layout, Counter())) == len(read_items(whole, layout, Counter())) > 0


def test_equal_answers_are_refused_in_a_file_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: chosen and rejected are the same"):
        read_items(as_lines(tmp_path / "file", [PAIR | {"rejected": "good"}]), PairFormat.PAIRS, Counter())


@pytest.mark.parametrize("layout", [PairFormat.JUDGEBENCH, PairFormat.REWARDBENCH])
def test_equal_answers_are_refused_where_pairs_are_learnt_from(tmp_path: Path, layout: PairFormat) -> None:
    with pytest.raises(UserError, match="line 1: chosen and rejected are the same"):
        read_benchmark(as_lines(tmp_path / "file", [ROWS[layout][0] | EQUAL[layout]]), layout)


EXPECTED: dict[PairFormat, list[tuple[str, str, str, str | None]]] = {
    PairFormat.REWARDBENCH: [("hep-go/7", "good", "bad", "hep-go")],
    PairFormat.JUDGEBENCH: [("u1", "b", "a", "mmlu-pro"), ("u2", "a", "b", "livecodebench")],
    PairFormat.RM_BENCH: [(f"safety-refuse/3/{i}-{j}", f"c{i}", f"r{j}", "safety") for i in range(3) for j in range(3)],
    PairFormat.HELPSTEER2: [("1", "fine", "poor", None), ("5", "fine", "poor", None)],
    PairFormat.PPE: [("q1", "b", "a", "German"), ("q3", "a", "", "German")],
    PairFormat.PPE_CORRECTNESS: [("5/1-0", "b", "a", None), ("5/1-2", "b", "c", None)],
}
LEFT_OUT = {
    PairFormat.HELPSTEER2: {Drop.TIE: 1},
    PairFormat.PPE: {Drop.TIE: 1, Drop.SAME_ANSWER: 1},
    PairFormat.PPE_CORRECTNESS: {Drop.DUPLICATE: 1},
}


@WRITERS
@pytest.mark.parametrize("layout", EXPECTED)
def test_published_layouts(tmp_path: Path, write: Writer, layout: PairFormat) -> None:
    drops: Counter[Drop] = Counter()
    pairs = read_benchmark(write(tmp_path / "file", ROWS[layout]), layout, drops)
    assert drops == LEFT_OUT.get(layout, {})
    assert [(pair["id"], pair["chosen"], pair["rejected"], pair["subset"]) for pair in pairs] == EXPECTED[layout]
    assert {pair["instruction"] for pair in pairs} == {"x"}


@pytest.mark.parametrize(
    ("layout", "change", "says"),
    [
        (PairFormat.REWARDBENCH, {"subset": "hep-perl"}, "line 1: RewardBench has no subset 'hep-perl'"),
        (PairFormat.JUDGEBENCH, {"source": "trivia"}, "line 1: JudgeBench has no source 'trivia'"),
        (PairFormat.JUDGEBENCH, {"label": "A"}, "line 1: label is 'A'"),
        (PairFormat.RM_BENCH, {"domain": None}, "line 1: column domain has no text"),
        (PairFormat.RM_BENCH, {"domain": "law"}, "line 1: RM-Bench has no domain 'law'"),
        (PairFormat.RM_BENCH, {"chosen": ["one"]}, "line 1: column chosen has no list of three texts"),
        (PairFormat.RM_BENCH, {"rejected": ["one", "", "three"]}, "line 1: column rejected has no text"),
        (PairFormat.HELPSTEER2, {"helpfulness": "very"}, "line 1: column helpfulness has no number"),
        (PairFormat.HELPSTEER2, {"helpfulness": float("nan")}, "line 1: column helpfulness has no number"),
        (PairFormat.HELPSTEER2, {"helpfulness": float("inf")}, "line 1: column helpfulness has no number"),
        (PairFormat.HELPSTEER2, {"helpfulness": True}, "line 1: column helpfulness has no number"),
        (PairFormat.HELPSTEER2, {"prompt": "y"}, "line 1: the next row has another prompt"),
        (PairFormat.PPE, {"winner": "n"}, "line 1: winner is 'n'"),
        (PairFormat.PPE, {"response_1": None}, "line 1: column response_1 has no text"),
        (PairFormat.PPE, {"language": None}, "line 1: column language has no text"),
        (PairFormat.PPE_CORRECTNESS, {"scores": None}, "line 1: columns scores and sampled_conflict_pairs have no lists"),
        (PairFormat.PPE_CORRECTNESS, {"scores": [None, True, False]}, "line 1: column scores has no score of response_1 but None"),
        (PairFormat.PPE_CORRECTNESS, {"scores": ["no", "yes", "no"]}, "line 1: column scores has no score of response_1 but 'no'"),
        (PairFormat.PPE_CORRECTNESS, {"scores": [0.0, float("nan"), 0.0]}, "line 1: column scores has no score of response_2 but nan"),
        (PairFormat.PPE_CORRECTNESS, {"sampled_conflict_pairs": [[False, True]]}, r"line 1: \[False, True\] in sampled_conflict_pairs"),
        (PairFormat.PPE_CORRECTNESS, {"sampled_conflict_pairs": [[0.0, 1.0]]}, r"line 1: \[0.0, 1.0\] in sampled_conflict_pairs"),
        (PairFormat.PPE_CORRECTNESS, {"sampled_conflict_pairs": [[0, 2]]}, r"line 1: \[0, 2\] in sampled_conflict_pairs names no right"),
        (PairFormat.PPE_CORRECTNESS, {"sampled_conflict_pairs": [[1, 3]]}, r"line 1: \[1, 3\] in sampled_conflict_pairs names no right"),
        (PairFormat.PPE_CORRECTNESS, {"sampled_conflict_pairs": ["01"]}, "line 1: 01 in sampled_conflict_pairs names no right"),
        (PairFormat.PPE_CORRECTNESS, {"response_2": None}, "line 1: column response_2 has no text"),
    ],
)
def test_rows_that_are_not_of_the_benchmark_are_named(tmp_path: Path, layout: PairFormat, change: Row, says: str) -> None:
    rows = ROWS[layout]
    with pytest.raises(UserError, match=says) as caught:
        read_benchmark(as_lines(tmp_path / "file", [rows[0] | change, *rows[1:]]), layout)
    assert caught.value.reason is Reason.BENCHMARK_INVALID


@WRITERS
@pytest.mark.parametrize("scores", [[0, 1, 0], [-0.5, 2.5, 0.5], [False, True, False]])
def test_answers_may_be_scored_by_numbers(tmp_path: Path, write: Writer, scores: list[float]) -> None:
    [row] = ROWS[PairFormat.PPE_CORRECTNESS]
    pairs = read_benchmark(write(tmp_path / "file", [row | {"scores": scores}]), PairFormat.PPE_CORRECTNESS)
    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [("b", "a"), ("b", "c")]


def test_a_number_too_large_for_a_float_is_still_the_larger_one(tmp_path: Path) -> None:
    rows = [row | {"helpfulness": mark} for row, mark in zip(ROWS[PairFormat.HELPSTEER2][:2], (10**400, 4), strict=True)]
    [pair] = read_benchmark(as_lines(tmp_path / "file", rows), PairFormat.HELPSTEER2)
    assert pair["chosen"] == "poor"


@WRITERS
def test_reward_bench_2_has_items_with_many_answers(tmp_path: Path, write: Writer) -> None:
    expected = [
        Contest("Factuality/12", "Factuality", "x", ["r"], ["a", "b", "b"]),
        Contest("Ties/tied:3", "Ties", "x", ["r", "s"], ["a"]),
    ]
    path = write(tmp_path / "file", [BEST_OF_FOUR, TIED])
    assert read_contests(path) == read_items(path, PairFormat.REWARDBENCH2, Counter()) == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"subset": "Law"}, "line 2: RewardBench 2 has no subset 'Law'"),
        ({"id": "7"}, "line 2: id '7' of a Ties row is neither ref:N nor tied:N"),
        ({"subset": "Math"}, "line 2: 2 chosen and 1 rejected answers"),
        ({"chosen": []}, "line 2: column chosen has no list of texts"),
        ({"rejected": "a"}, "line 2: column rejected has no list of texts"),
        ({"rejected": [" "]}, "line 2: column rejected has no text"),
        ({"prompt": ""}, "line 2: column prompt has no text"),
        (BEST_OF_FOUR, "line 2: id Factuality/12 has been used before"),
    ],
)
def test_items_that_are_not_of_reward_bench_2_are_named(tmp_path: Path, change: Row, says: str) -> None:
    path = as_lines(tmp_path / "file", [BEST_OF_FOUR, TIED | change])
    with pytest.raises(UserError, match=says) as caught:
        read_contests(path)
    assert caught.value.reason is Reason.BENCHMARK_INVALID


@WRITERS
def test_votes_on_the_same_answers_are_one_pair(tmp_path: Path, write: Writer) -> None:
    first, second = read_benchmark(write(tmp_path / "file", ROWS[PairFormat.MT_BENCH]), PairFormat.MT_BENCH)
    assert first == {"id": "81/1/m/n", "instruction": "q1", "chosen": "n1", "rejected": "m1", "subset": "turn 1",
                     "people": ["chosen", "chosen", "tie", "rejected"]}  # fmt: skip
    assert (second["instruction"], second["chosen"]) == ("Turn 1: q1\n\nTurn 2: q2", "Turn 1: m1\n\nTurn 2: m2")
    assert has_winner(first)
    assert has_winner(second)


def test_several_turns_of_helpsteer2_are_rendered(tmp_path: Path) -> None:
    prompt = "Name a city.\n<extra_id_1>Assistant\nParis.\n<extra_id_1>User\nAnd its river?"
    rows = [row | {"prompt": prompt} for row in ROWS[PairFormat.HELPSTEER2][:2]]
    [pair] = read_benchmark(as_lines(tmp_path / "file", rows), PairFormat.HELPSTEER2)
    assert pair["instruction"] == "User: Name a city.\n\nAssistant: Paris.\n\nUser: And its river?"


def test_votes_of_authors_and_models_are_not_peoples(tmp_path: Path) -> None:
    """FastChat counts them apart, so they neither agree with a judge nor decide which answer is the better one."""
    others = [VOTE | {"winner": "model_a", "judge": judge} for judge in ("author_0", "author_2", ["gpt-4", "pair-v2"])]
    path = as_lines(tmp_path / "file", [VOTE, *others])
    drops: Counter[Drop] = Counter()
    [pair] = read_benchmark(path, PairFormat.MT_BENCH, drops)
    assert (pair["chosen"], pair["people"]) == ("n1", ["chosen"])
    assert drops == {Drop.NO_EXPERT: 3}
    with pytest.raises(UserError, match=r"nothing in it can be scored \(3 no-expert\)"):
        read_benchmark(as_lines(tmp_path / "others", others), PairFormat.MT_BENCH)


@pytest.mark.parametrize("winners", [["tie"], ["model_a", "model_b"], ["tie", "tie", "model_a", "model_b"]])
def test_where_people_disagree_there_is_no_winner(tmp_path: Path, winners: list[str]) -> None:
    [pair] = read_benchmark(as_lines(tmp_path / "file", [VOTE | {"winner": winner} for winner in winners]), PairFormat.MT_BENCH)
    assert not has_winner(pair)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"turn": 3}, "line 1: turn is 3"),
        ({"turn": 1.0}, "line 1: turn is 1.0, not the whole number"),
        ({"turn": True}, "line 1: turn is True"),
        ({"winner": "n"}, "line 1: winner is 'n'"),
        ({"conversation_b": said("q1", "n1"), "turn": 2}, "line 1: column conversation_b has no conversation of 2 turns"),
        ({"conversation_a": "m1"}, "line 1: column conversation_a has no conversation of 1 turns"),
        ({"conversation_a": said("q1", " ")}, "line 1, conversation_a: column content has no text"),
        ({"question_id": None}, "line 1: column question_id"),
        ({"question_id": True}, "line 1: column question_id"),
        ({"judge": None}, "line 1: column judge has no text"),
    ],
)
def test_votes_that_cannot_be_counted_are_named(tmp_path: Path, change: Row, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_benchmark(as_lines(tmp_path / "file", [VOTE | change]), PairFormat.MT_BENCH)
    assert caught.value.reason is Reason.BENCHMARK_INVALID


@WRITERS
def test_follow_bench_eval_fits_in_a_file_of_pairs_with_subsets(tmp_path: Path, write: Writer) -> None:
    """The number of constraints, one to five, is the subset."""
    pairs = read_benchmark(write(tmp_path / "file", [PAIR | {"id": f"{level}", "subset": f"level {level}"} for level in range(1, 6)]))
    assert [pair["subset"] for pair in pairs] == [f"level {level}" for level in range(1, 6)]
