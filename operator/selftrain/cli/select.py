"""selftrain select: the selection alone, on judgments that lie in a file."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.recipes import RECIPES, Recipe

COLUMNS = {"pair_id", "order", "sample", "verdict"}


def select(judgments: Sequence[Path], recipe: Recipe, *, seed: int, iteration: int, kept: Path | None) -> dict[str, Any]:
    """Counts and drops by reason, which add up to the judgments; the kept ones' names go to a Parquet file if one is given."""
    from selftrain.workers import selection

    with tempfile.TemporaryDirectory(prefix="selftrain-select-") as scratch, selection.open_database(Path(scratch)) as database:
        _check(database, judgments)
        counts, drops = selection.select(database, judgments, selection.Rules(recipe, seed, iteration))
        if kept is not None:
            database.sql('SELECT pair_id, "order", sample FROM selection WHERE dropped IS NULL ORDER BY shuffle').write_parquet(str(kept))
    return {"recipe": asdict(recipe), "objective": recipe.objective_of(iteration), "counts": counts, "drops": drops}


def recipe_of(name: str, minimum_pass_rate: str | None, contrasts: int | None, *, require_mirror: bool | None) -> Recipe:
    """A preset with what was said on the command line."""
    preset = RECIPES[name]
    return replace(
        preset,
        contrasts=preset.contrasts if contrasts is None else contrasts,
        minimum_pass_rate=preset.minimum_pass_rate if minimum_pass_rate is None else minimum_pass_rate,
        require_mirror=preset.require_mirror if require_mirror is None else require_mirror,
    )


def _check(database: Any, judgments: Sequence[Path]) -> None:  # noqa: ANN401 - DuckDB is imported late
    """Refuse files that are no judgments before anything is counted."""
    import duckdb

    names = [str(path) for path in judgments]
    try:
        table = database.sql("SELECT * FROM read_parquet($names)", params={"names": names})
        missing = sorted(COLUMNS - set(table.columns))
        wrong = [] if missing else table.filter("coalesce(\"order\", '') NOT IN ('AB', 'BA')").limit(1).fetchall()
    except duckdb.Error as error:
        raise _bad(names[0], str(error).splitlines()[0]) from error
    if missing:
        raise _bad(names[0], f"there is no column {missing[0]}, only {', '.join(table.columns[:20])}")
    if wrong:
        raise _bad(names[0], "an order is neither AB nor BA")


def _bad(name: str, what: str) -> UserError:
    fix = "give Parquet files with the columns pair_id, order, sample and verdict"
    return UserError(Reason.BENCHMARK_INVALID, f"{name}: {what}", fix)
