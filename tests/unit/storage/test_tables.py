"""Reading what people bring, and writing tables that others can open."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.files import Row
from selftrain.storage.tables import (
    EVALUATIONS,
    EXAMPLES,
    JUDGMENTS,
    PAIRS,
    write_table,
)

# Writing

JUDGMENT: Row = {
    "pair_id": "p", "order": "AB", "sample": 0, "trace": "…", "verdict": None, "finish": "stop", "tokens": 3, "seed": 2**48 - 1,
}  # fmt: skip
ROWS: list[tuple[pa.Schema, Row]] = [
    (PAIRS, {"pair_id": "p", "instruction": "i", "chosen": "c", "rejected": None, "variation": None, "kind": None, "dropped": "malformed"}),
    (JUDGMENTS, JUDGMENT),
    (
        EXAMPLES,
        {
            "pair_id": "p",
            "order": "BA",
            "sample": 1,
            "messages": [{"role": "user", "content": "ü"}],
            "completion": "[[A]]",
            "rejected": None,
        },
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
