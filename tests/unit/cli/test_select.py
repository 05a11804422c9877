"""select: what it makes of judgments in files, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftrain.cli.__main__ import main
from selftrain.storage.tables import JUDGMENTS


def write_judgments(path: Path, said: dict[tuple[str, str], list[str | None]]) -> str:
    rows = [
        {"pair_id": pair, "order": order, "sample": sample, "verdict": verdict}
        for (pair, order), verdicts in said.items()
        for sample, verdict in enumerate(verdicts)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema({name: JUDGMENTS.field(name).type for name in rows[0]})), path)
    return str(path)


@pytest.mark.parametrize(
    ("options", "kept", "drops"),
    [
        ([], 2, {"wrong": 3, "unparsed": 1, "not-drawn": 1, "unbalanced": 1}),
        (["--recipe", "improved"], 2, {"wrong": 3, "unparsed": 1, "not-drawn": 1, "mirror-not-kept": 1}),
        (["--minimum-pass-rate", "0.6"], 0, {"wrong": 3, "unparsed": 1, "low-pass-rate": 1, "not-drawn": 1, "unbalanced": 2}),
    ],
)
def test_the_selection_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], kept: int, drops: dict[str, int]
) -> None:
    one: dict[tuple[str, str], list[str | None]] = {("1", "AB"): ["A", "A", "B"], ("1", "BA"): ["B", "A"]}
    two: dict[tuple[str, str], list[str | None]] = {("2", "AB"): ["A"], ("2", "BA"): ["A", None]}
    path, out = write_judgments(tmp_path / "judgments.parquet", one | two), tmp_path / "kept.parquet"
    assert main(["select", path, "--kept", str(out), *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"judgments": 8, "kept": kept, "kept A": kept / 2, "kept B": kept / 2, "examples": kept}
    assert told["drops"] == drops
    assert pq.read_table(out).num_rows == kept


def test_files_that_are_no_judgments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"pair_id": ["1"], "order": ["AB"], "sample": [0]}), tmp_path / "no-verdict")
    (tmp_path / "text").write_text("no Parquet")
    for name, words in (
        ("no-verdict", "no column verdict"),
        ("text", "text"),
        ("missing", "missing: there is no such file"),
        ("", "no such"),
    ):
        assert main(["select", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err


JUDGED = {"pair_id": ["1", "1", "1"], "order": ["AB", "AB", "BA"], "sample": [0, 1, 0], "verdict": ["A", "tie", "B"]}


@pytest.mark.parametrize(
    "columns", [{"pair_id": [1, 1, 1]}, {"sample": pa.array([0, 1, 0], pa.uint8())}, {"verdict": pa.nulls(3)}], ids=str
)
def test_names_may_be_numbers_and_verdicts_all_be_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, Any]
) -> None:
    pq.write_table(pa.table({**JUDGED, **columns}), tmp_path / "judgments")
    assert main(["select", str(tmp_path / "judgments"), "--kept", str(tmp_path / "kept")]) == 0
    told = json.loads(capsys.readouterr().out)
    if "verdict" in columns:
        assert told["drops"] == {"unparsed": 3}
    else:
        assert (told["counts"]["kept"], told["drops"]) == (2, {"wrong": 1}), "a tie is wrong"
        assert pq.read_table(tmp_path / "kept")["pair_id"].to_pylist() == ["1", "1"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"pair_id": [1.0, 1.0, 1.0]}, "column pair_id has DOUBLE, not text or whole numbers"),
        ({"sample": ["0", "1", "0"]}, "column sample has VARCHAR, not whole numbers"),
        ({"order": [1, 2, 3]}, "column order has BIGINT, not text"),
        ({"verdict": [[1], [2], [3]]}, "column verdict has BIGINT[], not text"),
        ({"pair_id": ["1", None, "1"]}, "a pair_id is null"),
        ({"sample": [0, None, 0]}, "a sample is null"),
        ({"order": ["AB", "CD", "BA"]}, "order CD is neither AB nor BA"),
        ({"order": ["AB", None, "BA"]}, "order null is neither AB nor BA"),
        ({"verdict": ["A", "[[B]]", "B"]}, 'verdict "[[B]]" is none of A, B, C, tie and null'),
        ({"sample": [0, 0, 0]}, "pair_id 1, order AB, sample 0 is there twice"),
    ],
)
def test_judgments_that_cannot_be_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, Any], words: str) -> None:
    pq.write_table(pa.table({**JUDGED, **columns}), tmp_path / "judgments")
    assert main(["select", str(tmp_path / "judgments")]) == 2
    assert words in capsys.readouterr().err


def test_a_name_is_no_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of a file that is given nor of the folder for what is worked on."""
    for name in ("j[1]", "j1", "j*", "j?"):
        pq.write_table(pa.table({**JUDGED, "pair_id": [name] * 3}), tmp_path / name)
    (tmp_path / "[t]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "[t]"))
    for name in ("j[1]", "j*", "j?"):
        assert main(["select", str(tmp_path / name), "--kept", str(tmp_path / "kept")]) == 0
        assert json.loads(capsys.readouterr().out)["counts"]["judgments"] == 3
        assert set(pq.read_table(tmp_path / "kept")["pair_id"].to_pylist()) == {name}


def test_what_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table(JUDGED), tmp_path / "judgments")
    assert main(["select", str(tmp_path / "judgments"), "--kept", "/proc/kept"]) == 2
    assert "cannot write /proc/kept: " in capsys.readouterr().err


def test_a_judgment_may_not_be_in_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table(JUDGED), tmp_path / "text")
    pq.write_table(pa.table({**JUDGED, "pair_id": [1, 1, 1]}), tmp_path / "numbers")
    for names in (("text", "text"), ("text", "numbers")):
        assert main(["select", *(str(tmp_path / name) for name in names)]) == 2
        assert "is there twice; give each judgment, and each file, once" in capsys.readouterr().err


def test_what_select_cannot_do_is_said_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table(JUDGED), tmp_path / "judgments")
    for kept in (tmp_path / "nowhere" / "kept", tmp_path):
        assert main(["select", str(tmp_path / "judgments"), "--kept", str(kept)]) == 2
        assert f"cannot write {kept}: it is a folder, or {kept.parent} is none" in capsys.readouterr().err
    assert main(["select", str(tmp_path / "judgments"), "--kept", str(tmp_path / "." / "judgments")]) == 2
    assert "is a file of judgments, which would be lost; name another file" in capsys.readouterr().err
    for option in ("--iteration", "--contrasts"):
        with pytest.raises(SystemExit, match="2"):
            main(["select", str(tmp_path / "judgments"), option, "0"])
        assert "0 is less than 1" in capsys.readouterr().err
