"""score and compare, for outputs that people bring: files in, one JSON document out, and each mistake told with its line."""

import json
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from selftrain.cli.__main__ import main
from selftrain.cli.schemas import ROWS
from selftrain.method.benchmarks import NAMES, judgebench, rewardbench

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
Rows = list[dict[str, Any]]
TIES = {"subset": "Ties", "num_correct": 1, "ratings": [9, 2]}
SCORED: dict[str, tuple[Rows, float]] = {
    "rewardbench": ([{"id": 1, "subset": "hep-go", "result": 1}, {"id": 2, "subset": "hep-go", "result": 0.5, "other": "column"}], 0.1875),
    "judgebench": ([{"id": "a", "source": "mmlu-pro-law", "label": "A>B", "decisions": ["A>B", None]}], 1.0),
    "mt-bench": ([{"question_id": 81, "turn": 1, "model_a": "x", "model_b": "y", "judge": "tie", "human": ["tie", "model_a"]}], 0.5),
    "pairs": ([{"id": 1, "subset": "s", "label": "A", "verdicts": ["A", None]}], 0.5),
    "rm-bench": (
        [
            {"id": 1, "domain": "chat", "score_chosen": [3, 3, 3], "score_rejected": [1, 2, 2.5]},
            *({"id": 2, "domain": domain, "wins": [[0, 0.5, 1]] * 3} for domain in ("code", "math", "safety-refuse")),
        ],
        0.625,
    ),
    "rewardbench2": (
        [
            *({"id": 1, "subset": name, "position": "C", "winner": "C"} for name in ("Factuality", "Focus", "Precise IF")),
            *({"id": 1, "subset": name, "ratings": [1, 2, 3, -1]} for name in ("Math", "Safety")),
            {"id": "ref:3", **TIES}, {"id": "tied:3", "subset": "Ties", "num_correct": 2, "ratings": [5, 4, 2]},
        ],
        (3 + 1.0 + 0.01 * 0.7615941559557649) / 6,
    ),
}  # fmt: skip


def write(path: Path, rows: Rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("benchmark", SCORED)
def test_a_score_is_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark: str) -> None:
    rows, overall = SCORED[benchmark]
    assert main(["score", benchmark, write(tmp_path / "rows.jsonl", rows)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["benchmark"] == benchmark
    assert told["overall"] == pytest.approx(overall)
    assert told["interval"][0] <= min(1, told["overall"]) <= told["interval"][1]
    assert told["count"] == (2 if benchmark == "mt-bench" else len(rows)), "MT-Bench counts people's votes"


@pytest.mark.parametrize("benchmark", ["rewardbench2", "rm-bench"])
def test_what_was_given_is_counted_without_an_overall_score(tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark: str) -> None:
    assert main(["score", benchmark, write(tmp_path / "rows.jsonl", SCORED[benchmark][0][:2])]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["overall"], told["interval"], told["count"]) == (None, None, 2)


def test_help_shows_the_rows_of_each_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    said = capsys.readouterr().out
    assert tuple(ROWS) == NAMES
    for benchmark, row in ROWS.items():
        told = said.split(f"\n{benchmark}:\n")[1].split("\n\n")[0]
        assert [name for name in row.model_fields if f'"{name}"' not in told] == []


def keys_of(document: dict[str, Any]) -> set[str]:
    return set(document) | {key for part in document["parts"].values() if isinstance(part, dict) for key in part}


def test_rows_keys_and_parts_are_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text()
    rows = [shape for row in ROWS.values() for shape in re.findall(r"`\{.*?\}`", row.__doc__ or "")]
    assert len(rows) >= len(ROWS)
    assert [shape for shape in rows if shape not in page] == []
    for benchmark, (given, _) in SCORED.items():
        assert main(["score", benchmark, write(tmp_path / "rows.jsonl", given)]) == 0
        told = next(line for line in page.split("names in `parts`")[1].splitlines() if line.startswith(f"| `{benchmark}` |"))
        document = json.loads(capsys.readouterr().out)
        parts = {} if benchmark in ("pairs", "rewardbench") else document["parts"]
        common = {"benchmark", "overall", "count", "interval", "parts"}
        assert [key for key in (*(keys_of(document) - common), *parts) if f"`{key}`" not in told] == []
    assert [name for name in (*rewardbench.SECTIONS, rewardbench.CHAT_HARD_REST, *judgebench.SOURCES) if f"`{name}`" not in page] == []
    path = write(tmp_path / "rows.jsonl", SCORED["pairs"][0])
    assert main(["compare", path, path]) == 0
    assert [key for key in json.loads(capsys.readouterr().out) if f"`{key}`" not in page.split("selftrain compare")[1]] == []


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("rewardbench", {"id": 1, "subset": "hep-perl", "result": 1}, "no subset 'hep-perl'"),
    ("rewardbench", {"id": 1, "subset": "hep-go", "result": 0.7}, "not 1, 0 or 0.5"),
    ("rewardbench", {"id": 1, "result": 1}, "subset: Field required"),
    ("rewardbench2", {"id": 1, "subset": "Math", "ratings": ["good", 1, 1, 1]}, "ratings.0: Input should be a valid number"),
    ("rewardbench2", {"id": 1, "subset": "Chat", "ratings": [1, 1, 1, 1]}, "no subset 'Chat'"),
    ("rewardbench2", {"id": 1, "subset": "Math", "ratings": [1, 2], "position": "A"}, "either position and winner, or ratings"),
    ("rewardbench2", {"id": 1, "subset": "Math", "ratings": [1, 2], "winner": "A"}, "either position and winner, or ratings"),
    ("rewardbench2", {"id": 1, "subset": "Math", "position": "A"}, "needs a winner too, null if"),
    ("rewardbench2", {"id": "ref:1", **TIES, "position": "A", "winner": None}, "either position and winner, or ratings"),
    ("rewardbench2", {"id": "3", **TIES}, "neither ref:N nor tied:N"),
    ("rewardbench2", {"id": "ref:3", **TIES, "num_correct": 2}, "right and wrong answers"),
    ("judgebench", {"id": 1, "source": "trivia", "label": "A>B", "decisions": [None, None]}, "no source 'trivia'"),
    ("judgebench", {"id": 1, "source": "mmlu-pro", "label": "A", "decisions": [None, None]}, "label: Input should be 'A>B' or 'B>A'"),
    ("rm-bench", {"id": 1, "domain": "law", "wins": [[1, 1, 1]] * 3}, "no domain 'law'"),
    ("rm-bench", {"id": 1, "domain": "chat", "wins": [[1, 1, 2]] * 3}, "wins are 0, 0.5 or 1"),
    ("rm-bench", {"id": 1, "domain": "chat", "score_chosen": [1, 1, 1]}, "either score_chosen and score_rejected, or wins"),
    ("mt-bench", {**SCORED["mt-bench"][0][0], "turn": 3}, "turn is 3, not 1 or 2"),
    ("mt-bench", {**SCORED["mt-bench"][0][0], "turn": True}, "turn: Input should be a valid integer"),
    ("mt-bench", {**SCORED["mt-bench"][0][0], "human": ["error"]}, "human.0: Input should be 'model_a'"),
    (
        "rm-bench",
        {"id": 1, "domain": "chat", "wins": [[1, 1, 1]] * 3, "score_chosen": [1, 1, 1]},
        "either score_chosen and score_rejected, or",
    ),
    ("pairs", {"id": None, "label": "A", "verdicts": ["A", "B"]}, "line 2: id: a name is text or a whole number"),
    ("pairs", {"id": True, "label": "A", "verdicts": ["A", "B"]}, "id: a name is text or a whole number"),
    ("pairs", {"id": 1, "label": "A", "verdicts": ["A"]}, "verdicts: List should have at least 2"),
]


@pytest.mark.parametrize(("benchmark", "row", "words"), BAD)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark: str, row: dict[str, Any], words: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n" + json.dumps(row) + "\n")
    assert main(["score", benchmark, str(path)]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "line 2" in said.err
    assert said.out == ""


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = write(tmp_path / "rows.jsonl", SCORED["pairs"][0])
    for gone in (tmp_path / "nowhere.jsonl", tmp_path):
        for command in (["score", "pairs", str(gone)], ["compare", str(gone), there], ["compare", there, str(gone)]):
            assert main(command) == 2
            assert f"cannot read {gone}: " in capsys.readouterr().err


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(SCORED["pairs"][0][0]), encoding="utf-8-sig")
    assert main(["score", "pairs", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 1


@pytest.mark.parametrize(("text", "words"), [("", "has no rows; give at least one"), ("{\n", "line 1: Invalid JSON")])
def test_files_that_are_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    assert main(["score", "pairs", str(tmp_path / "rows.jsonl")]) == 2
    assert words in capsys.readouterr().err


def test_an_item_may_not_be_there_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, _ = SCORED["judgebench"]
    assert main(["score", "judgebench", write(tmp_path / "rows.jsonl", rows * 2)]) == 2
    assert "line 2: the same item is in line 1" in capsys.readouterr().err


@pytest.mark.parametrize("benchmark", ["rewardbench", "judgebench", "rm-bench", "rewardbench2", "mt-bench"])
def test_a_number_and_its_text_name_the_same_item(tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark: str) -> None:
    row = SCORED[benchmark][0][0]
    name = "question_id" if "question_id" in row else "id"
    assert main(["score", benchmark, write(tmp_path / "rows.jsonl", [{**row, name: 1}, {**row, name: "1"}])]) == 2
    assert "line 2: the same item is in line 1" in capsys.readouterr().err


def test_a_reader_may_leave_early(tmp_path: Path) -> None:
    """Whether standard output is written at each line or at the end, as it is to a pipe."""
    (tmp_path / "texts").write_text('{"text": "[[A]]"}\n' * 20_000)
    for unbuffered, (command, said) in product(
        ("", "1"),
        (
            (f"parse < {tmp_path / 'texts'} | head -1", '{"verdict": "A"}\n'),
            (f"score pairs {write(tmp_path / 'rows', SCORED['pairs'][0])} | (exec 0<&-)", ""),
            ("--help | (exec 0<&-)", ""),
        ),
    ):
        line = f"{sys.executable} -m selftrain.cli {command}"
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == (said, ""), command


def test_a_number_and_its_text_name_the_same_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number, text = ({"id": name, "label": "A", "verdicts": ["A", "B"]} for name in (1, "1"))
    path, both = write(tmp_path / "text", [text]), write(tmp_path / "both", [number, text])
    assert main(["compare", write(tmp_path / "number", [number]), path]) == 0
    for command in (["score", "pairs", both], ["compare", both, path], ["compare", path, both]):
        assert main(command) == 2
        assert "line 2: the same item is in line 1" in capsys.readouterr().err


def test_ties_are_told_apart_as_the_official_code_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "ref:01", **TIES}, {"id": "tied:1", **TIES}, {"id": "ref:x", **TIES}, {"id": "tied:x", **TIES}]
    assert main(["score", "rewardbench2", write(tmp_path / "rows.jsonl", rows)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["counts"], told["unpaired"]) == ({"Ties": 4}, 0)
    assert main(["score", "rewardbench2", write(tmp_path / "rows.jsonl", [*rows, {"id": "tied:+1", **TIES}])]) == 2
    assert "line 5: the same item is in line 2" in capsys.readouterr().err


def test_what_was_not_parsed_is_counted_and_no_ties_row_vanishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": 1, "subset": "Math", "position": "C", "winner": None},
        {"id": 2, "subset": "Math", "position": None, "winner": None, "ratings": [1, 2, -1, -1]},
        {"id": "ref:1", **TIES},
        {"id": "tied:2", "subset": "Ties", "num_correct": 2, "ratings": [9, 8, -1]},
    ]
    assert main(["score", "rewardbench2", write(tmp_path / "rows.jsonl", rows)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["count"], told["unparsed"], told["unpaired"]) == (4, 4, 2)
    assert (told["parts"].keys(), told["missing"]["Math"], told["missing"]["Ties"]) == ({"Math"}, 181, 100)


def test_fastchats_error_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for judge in (None, "error"):
        assert main(["score", "mt-bench", write(tmp_path / "rows.jsonl", [{**SCORED["mt-bench"][0][0], "judge": judge}])]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1]
    assert (told[0]["overall"], told[0]["count"]) == (0, 2)


def test_prior_sets_belong_to_rewardbench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "pairs", write(tmp_path / "rows.jsonl", SCORED["pairs"][0]), "--prior-sets"]) == 2
    assert "pairs has no Prior Sets; leave out --prior-sets" in capsys.readouterr().err


def test_two_judges_are_compared_pair_by_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [{"id": n, "label": "A", "verdicts": ["A", "B"]} for n in range(8)]
    poor = [{"id": n, "label": "A", "verdicts": ["A", "A"]} for n in range(1, 9)]
    assert main(["compare", write(tmp_path / "a", good), write(tmp_path / "b", poor)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pairs"], told["only_first"], told["only_second"]) == (7, 1, 1)
    assert told["by_order"] == {"wins": 7, "losses": 0, "p": 2 / 2**7}
    assert told["strict"] == told["by_pair"] == {"wins": 7, "losses": 0, "p": 2 / 2**7}
    assert (told["first"]["accuracy"], told["second"]["accuracy"]) == (1, 0.5)


def test_both_orders_of_a_pair_are_one_witness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, poor = ([{"id": n, "label": "A", "verdicts": verdicts} for n in range(5)] for verdicts in (["A", "B"], ["B", "A"]))
    assert main(["compare", write(tmp_path / "a", good), write(tmp_path / "b", poor)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by_pair"] == told["strict"] == {"wins": 5, "losses": 0, "p": 2 / 2**5}
    assert told["by_order"] == {"wins": 10, "losses": 0, "p": 2 / 2**10}


def test_labels_must_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = [{"id": 1, "label": "A", "verdicts": ["A", "B"]}], [{"id": 1, "label": "B", "verdicts": ["A", "B"]}]
    assert main(["compare", write(tmp_path / "a", one), write(tmp_path / "b", other)]) == 2
    assert "disagree on the label of pair 1; give" in capsys.readouterr().err


def test_pairs_must_be_in_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = [{"id": 1, "label": "A", "verdicts": ["A", "B"]}], [{"id": 2, "label": "A", "verdicts": ["A", "B"]}]
    assert main(["compare", write(tmp_path / "a", one), write(tmp_path / "b", other)]) == 2
    assert "no pair in common; give" in capsys.readouterr().err
