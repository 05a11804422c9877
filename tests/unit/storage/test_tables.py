"""Reading what people bring, and writing tables that others can open."""

import tracemalloc
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.files import WRITERS, Row, Writer, as_lines, as_parquet
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
from selftrain.storage.tables import (
    EVALUATIONS,
    EXAMPLES,
    JUDGMENTS,
    PAIRS,
    read_instructions,
    scan_instructions,
    write_table,
)


def invalid(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_instructions(path, "text")
    assert caught.value.reason is Reason.INSTRUCTIONS_INVALID
    assert caught.value.fix


# Instructions


@WRITERS
def test_instructions_are_read_in_order_and_every_drop_is_counted(tmp_path: Path, write: Writer) -> None:
    texts = ["first", "", "zweite ü", "first", None, "  \n", "First"]
    path = write(tmp_path / "file", ({"text": text, "other": 1} for text in texts))
    rows, drops = read_instructions(path, "text")
    assert rows == [(sha256(text.encode()).hexdigest()[:16], text) for text in ("first", "zweite ü", "First")]
    assert drops == {Drop.NO_TEXT: 3, Drop.DUPLICATE: 1}


@WRITERS
def test_the_limit_counts_distinct_instructions(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "file", ({"text": text} for text in ["a", "a", "", "b", "c", "", "d"]))
    rows, drops = read_instructions(path, "text", limit=2)
    assert [row.text for row in rows] == ["a", "b"]
    assert drops == {Drop.DUPLICATE: 1, Drop.NO_TEXT: 1}
    assert len(read_instructions(path, "text", limit=99)[0]) == 4


def test_a_line_may_be_a_megabyte_long_and_lines_may_be_blank(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "file", [{"text": "x" * 1_000_000}, {"text": "short"}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\n"))
    assert [len(row.text) for row in read_instructions(path, "text")[0]] == [1_000_000, 5]


@WRITERS
def test_a_missing_text_field_is_named(tmp_path: Path, write: Writer) -> None:
    invalid(write(tmp_path / "file", [{"prompt": "a"}, {"prompt": "b"}]), "text")


def test_some_lines_may_lack_the_field(tmp_path: Path) -> None:
    rows, drops = read_instructions(as_lines(tmp_path / "file", [{"prompt": "a"}, {"text": "b"}]), "text")
    assert (len(rows), drops) == (1, {Drop.NO_TEXT: 1})


@WRITERS
def test_a_text_field_that_holds_no_text_is_refused(tmp_path: Path, write: Writer) -> None:
    invalid(write(tmp_path / "file", [{"text": 5}]), "file, (line|row) 1: text is no text but int")


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    invalid(tmp_path / "file", "it has no rows")


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "file")
    invalid(tmp_path / "file", "it has no rows")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"text": "caf\xe9"}', r"line 2: not UTF-8 \(byte 14 of the line\)"),
        ('{"text": "ü"}'.encode("utf-16"), "line 2: not UTF-8"),
        (b'{"text": "a"', "line 2: no JSON"),
        (b'["text"]', "line 2: no JSON object"),
        (b"[" * 200_000, "line 2: no JSON"),
        (rb'{"text": "half \ud800"}', "line 2: holds half a character"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(b'{"text": "good"}\n' + line + b"\n")
    invalid(tmp_path / "file", says)


def test_broken_parquet_is_named(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "file", [{"text": f"row {number}"} for number in range(2000)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    invalid(path, "cannot be read as Parquet")
    path.write_bytes(whole[:50] + b"\xff" * 400 + whole[450:])
    with pytest.raises(UserError, match="file"):
        read_instructions(path, "text")


def test_parquet_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    not_text = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"caf\xe9"], pa.binary()).buffers())
    pq.write_table(pa.table({"text": not_text}), tmp_path / "file")
    invalid(tmp_path / "file", "not UTF-8")


def test_scanning_takes_little_memory(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "file", ({"text": f"{number} " + "x" * 10_000} for number in range(3000)))
    drops: Counter[Drop] = Counter()
    tracemalloc.start()
    try:
        assert sum(1 for _ in scan_instructions(path, "text", None, drops)) == 3000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000 < path.stat().st_size


# Writing

JUDGMENT: Row = {
    "pair_id": "p", "order": "AB", "sample": 0, "trace": "…", "verdict": None, "finish": "stop", "tokens": 3, "seed": 2**48 - 1,
}  # fmt: skip
ROWS: list[tuple[pa.Schema, Row]] = [
    (PAIRS, {"pair_id": "p", "instruction": "i", "chosen": "c", "rejected": None, "variation": None, "kind": None, "dropped": "malformed"}),
    (JUDGMENTS, JUDGMENT),
    (
        EXAMPLES,
        {"pair_id": "p", "order": "BA", "sample": 1, "messages": [{"role": "user", "content": "ü"}], "completion": "[[A]]"},
    ),
    (
        EVALUATIONS,
        {"benchmark": "b", "subset": None, "correct": True, **{name: value for name, value in JUDGMENT.items() if name != "seed"}},
    ),
]


@pytest.mark.parametrize(("schema", "row"), ROWS)
def test_rows_come_back_and_equal_rows_give_equal_bytes(tmp_path: Path, schema: pa.Schema, row: Row) -> None:
    rows = [row | {"pair_id": f"p{number}"} for number in range(5000)]
    assert write_table(iter(rows), schema, tmp_path / "one") == 5000
    assert write_table(rows, schema, tmp_path / "two") == 5000
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    table = pq.read_table(tmp_path / "one")
    assert table.schema == schema
    assert table.to_pylist() == rows
    assert pq.ParquetFile(tmp_path / "one").metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_table_may_be_empty(tmp_path: Path) -> None:
    assert write_table([], PAIRS, tmp_path / "file") == 0
    assert pq.read_table(tmp_path / "file").schema == PAIRS
