"""selftrain select: the selection alone, on judgments that lie in a file."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.recipes import RECIPES, Recipe
from selftrain.workers import selection
from selftrain.workers.selection import names_of

TEXT = {"VARCHAR"}
WHOLE = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")}
COLUMNS = {
    "pair_id": (TEXT | WHOLE, "text or whole numbers"),
    "order": (TEXT, "text"),
    "sample": (WHOLE, "whole numbers"),
    "verdict": (TEXT | {'"NULL"'}, "text"),  # a column of nulls alone may have no type
}
"""What is needed, in DuckDB's words and in ours."""
FINISH = "finish"
"""A column that may be absent."""
NARROW = 'pair_id::VARCHAR AS pair_id, "order", sample, verdict::VARCHAR AS verdict'
WRONG = """
SELECT CASE
    WHEN pair_id IS NULL THEN 'a pair_id is null'
    WHEN sample IS NULL THEN 'a sample is null'
    WHEN "order" IS NULL OR "order" NOT IN ('AB', 'BA') THEN concat('order ', coalesce("order", 'null'), ' is neither AB nor BA')
    WHEN verdict NOT IN ('A', 'B', 'C', 'tie') THEN concat('verdict "', left(verdict, 40), '" is none of A, B, C, tie and null')
END AS wrong
FROM read_parquet($judgments) WHERE wrong IS NOT NULL LIMIT 1
"""
TWICE = """
SELECT pair_id, "order", sample FROM read_parquet($judgments) GROUP BY ALL HAVING count(*) > 1 LIMIT 1
"""


def select(judgments: Sequence[Path], recipe: Recipe, *, seed: int, iteration: int, kept: Path | None) -> dict[str, Any]:
    """Counts and drops by reason, which add up to the judgments; the kept ones' names go to a Parquet file if one is given."""
    if kept is not None:
        _refuse(kept, judgments)
    with tempfile.TemporaryDirectory(prefix="selftrain-select-") as scratch, selection.open_database(Path(scratch)) as database:
        copies = [_checked(database, path, Path(scratch) / f"judgments-{number}") for number, path in enumerate(judgments)]
        _refuse_twice(database, copies)
        counts, drops = selection.select(database, copies, selection.Rules(recipe, seed, iteration))
        if kept is not None:
            _write(database, kept)
    return {"recipe": asdict(recipe), "objective": recipe.objective_of(iteration), "counts": counts, "drops": drops}


def _refuse(kept: Path, judgments: Sequence[Path]) -> None:
    """What cannot be written, and what would be lost, is said before anything is read."""
    if kept.is_dir() or not kept.parent.is_dir():
        message, fix = f"cannot write {kept}: it is a folder, or {kept.parent} is none", "name a file in a folder that exists"
        raise UserError(Reason.BENCHMARK_INVALID, message, fix)
    if kept.resolve() in (path.resolve() for path in judgments):
        message = f"--kept {kept} is a file of judgments, which would be lost"
        raise UserError(Reason.BENCHMARK_INVALID, message, "name another file")


def _write(database: duckdb.DuckDBPyConnection, kept: Path) -> None:
    table = database.sql('SELECT pair_id, "order", sample FROM selection WHERE dropped IS NULL ORDER BY shuffle')
    try:
        table.write_parquet(str(kept))
    except duckdb.IOException as error:
        message = f"cannot write {kept}: {str(error).splitlines()[0]}"
        raise UserError(Reason.BENCHMARK_INVALID, message, "name a file that may be written") from error


def recipe_of(name: str, minimum_pass_rate: str | None, contrasts: int | None, *, require_mirror: bool | None) -> Recipe:
    """A preset with what was said on the command line."""
    preset = RECIPES[name]
    return replace(
        preset,
        contrasts=preset.contrasts if contrasts is None else contrasts,
        minimum_pass_rate=preset.minimum_pass_rate if minimum_pass_rate is None else minimum_pass_rate,
        require_mirror=preset.require_mirror if require_mirror is None else require_mirror,
    )


def _checked(database: duckdb.DuckDBPyConnection, path: Path, copy: Path) -> Path:
    """A copy of the columns that count, ids as text. Files that are no judgments are refused before anything is counted."""
    if not path.is_file():
        raise _bad(path, "there is no such file")
    try:
        table = database.read_parquet(names_of([path]))
        types = dict(zip(table.columns, map(str, table.types), strict=True))
        for name, (allowed, words) in COLUMNS.items():
            if name not in types:
                raise _bad(path, f"there is no column {name}, only {', '.join(table.columns[:20])}")
            if types[name] not in allowed:
                raise _bad(path, f"column {name} has {types[name]}, not {words}")
        table.project(f"{NARROW}, {FINISH}::VARCHAR AS {FINISH}" if FINISH in types else NARROW).write_parquet(str(copy))
    except duckdb.Error as error:
        raise _bad(path, str(error).splitlines()[0]) from error
    if wrong := database.execute(WRONG, {"judgments": names_of([copy])}).fetchall():
        raise _bad(path, wrong[0][0])
    return copy


def _refuse_twice(database: duckdb.DuckDBPyConnection, judgments: Sequence[Path]) -> None:
    if twice := database.execute(TWICE, {"judgments": names_of(judgments)}).fetchall():
        message = "pair_id {}, order {}, sample {} is there twice".format(*twice[0])
        raise UserError(Reason.BENCHMARK_INVALID, message, "give each judgment, and each file, once")


def _bad(path: Path, what: str) -> UserError:
    fix = "give Parquet files with the columns pair_id, order, sample and verdict"
    return UserError(Reason.BENCHMARK_INVALID, f"{path}: {what}", fix)
