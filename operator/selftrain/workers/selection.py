"""The decision on every judgment, as tables in DuckDB: what is kept, and why the rest is not.

Every draw is the order of hashes of (purpose, run seed, iteration, judgment), so it depends neither on the order of rows nor
on how they were cut into parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from glob import escape
from pathlib import Path

import duckdb

from selftrain.api.recipes import Objective, Recipe
from selftrain.api.records import CUT, Drop, Order, Verdict
from selftrain.method.mixing import mixed
from selftrain.method.pairs import LABELLED

MEMORY, ROW_MEMORY = 64 << 20, 256
"""Bytes that DuckDB may hold, and more of them for each judgment, since not all of its work can be spilt to the scratch folder: DPO on
617 000 judgments did not get by with 64 MB, on 1.2 million it did with 256 MB."""
ROWS = "SELECT sum(num_rows) FROM parquet_file_metadata($judgments)"
TORN = "CASE WHEN NOT $require_mirror THEN "
"""Begins what only counts where the two orders of a pair may be torn apart."""
BOTH_ORDERS = "(" + " AND ".join(f"bool_or(is_passed AND \"order\" = '{order}') OVER pair" for order in Order) + ")"

# The pairs that were not made here, for a share of them.
GIVEN = f"""
INSERT INTO labelled SELECT pair_id FROM read_parquet($pairs) WHERE kind = '{LABELLED}'
"""  # noqa: S608 - a word of our own
# Every judgment with what is known about its ordered pair; a name for its draws, and one for those of its ordered pair. The column
# finish is read where there is one: judgments of other makers may lack it.
RATED = f"""
CREATE TABLE rated AS
WITH told AS (
    SELECT NULL::VARCHAR AS finish WHERE FALSE UNION ALL BY NAME FROM read_parquet($judgments)
), judged AS (
    SELECT pair_id, "order", sample, verdict, pair_id IN (FROM labelled) AS is_labelled,
        CASE "order" {" ".join(f"WHEN '{order}' THEN '{order.gold}'" for order in Order)} END AS gold,
        finish IS NOT DISTINCT FROM '{CUT}' AS is_cut,
        concat_ws(chr(31), $seed, $iteration, pair_id, "order", sample) AS name
    FROM told
), counted AS (
    SELECT *, verdict IS NOT DISTINCT FROM gold AS is_right, is_right AND NOT is_cut AS is_sound,
        avg(is_right::INT) OVER ordered AS pass_rate, bool_or(is_sound) OVER ordered AS has_sound
    FROM judged
    WINDOW ordered AS (PARTITION BY pair_id, "order")
), passed AS (
    SELECT *, has_sound AND pass_rate >= $minimum_pass_rate AS is_passed FROM counted
)
SELECT * EXCLUDE name,
    NOT $require_mirror OR {BOTH_ORDERS} AS is_mirrored,
    md5_number_lower('draw' || chr(31) || name) AS draw,
    md5_number_lower(concat_ws(chr(31), 'balance', $seed, $iteration, pair_id, {TORN}"order" END, {TORN}sample END)) AS balance,
    md5_number_lower('shuffle' || chr(31) || name) AS shuffle
FROM passed
WINDOW pair AS (PARTITION BY pair_id)
"""  # noqa: S608 - what is put in are words of our own enums
# SFT: one right judgment an ordered pair, as many that say A as say B. Where the mirror is required, both orders of a pair have the same
# place, each among those of its letter, so they are kept or left out together.
ONE_RIGHT = """
CREATE TABLE ranked AS
WITH drawn AS (
    SELECT *, is_sound AND is_passed AND is_mirrored AND row_number() OVER (
        PARTITION BY pair_id, "order", is_sound ORDER BY draw, sample
    ) = 1 AS is_drawn
    FROM rated
)
SELECT *, row_number() OVER (PARTITION BY is_drawn, is_labelled, gold ORDER BY balance, pair_id) AS place FROM drawn
"""
ONE_RIGHT_SELECTION = f"""
CREATE TABLE selection AS
SELECT pair_id, "order", sample, gold, shuffle,
    CASE
        WHEN verdict IS NULL THEN '{Drop.UNPARSED}'
        WHEN verdict <> gold THEN '{Drop.WRONG}'
        WHEN is_cut THEN '{Drop.TRUNCATED}'
        WHEN NOT is_passed THEN '{Drop.LOW_PASS_RATE}'
        WHEN NOT is_mirrored THEN '{Drop.MIRROR_NOT_KEPT}'
        WHEN NOT is_drawn THEN '{Drop.NOT_DRAWN}'
        WHEN place > balanced THEN '{Drop.UNBALANCED}'
        WHEN place > mixed THEN '{Drop.NOT_MIXED}'
    END AS dropped
FROM ranked JOIN size USING (is_labelled)
"""  # noqa: S608 - as above
ONE_RIGHT_KEPT = """
CREATE TABLE kept AS
SELECT pair_id, "order", sample, NULL::INT AS rejected, row_number() OVER (ORDER BY shuffle, pair_id, "order") - 1 AS place
FROM selection WHERE dropped IS NULL
"""
# DPO: right judgments, each beside one that is wrong or has no verdict; as many ordered pairs whose answer is A as B. One that was cut off
# is no contrast: it would be learnt with an end that the judge did not give it, and as a bad one. A pair may have
# contrasts in one order only: where the mirror is required, such pairs come last, so that no other pair is torn apart.
CONTRASTS = f"""
CREATE TABLE ranked AS
WITH crossed AS (
    SELECT pair_id, "order", one.gold, one.is_labelled, one.sample, other.sample AS rejected,
        md5_number_lower(concat_ws(chr(31), 'contrast', one.draw, other.draw)) AS drawn,
        md5_number_lower(concat_ws(chr(31), 'balance', $seed, $iteration, pair_id, {TORN}"order" END)) AS balance
    FROM rated one JOIN rated other USING (pair_id, "order")
    WHERE one.is_sound AND NOT other.is_right AND one.is_passed AND one.is_mirrored AND NOT other.is_cut
), limited AS (
    SELECT * FROM crossed
    QUALIFY row_number() OVER (PARTITION BY pair_id, "order" ORDER BY drawn, sample, rejected) <= $contrasts
)
SELECT *, TRUE AS is_drawn, dense_rank() OVER (PARTITION BY is_labelled, gold ORDER BY is_alone, balance, pair_id) AS place
FROM (
    SELECT *, $require_mirror AND min("order") OVER pair = max("order") OVER pair AS is_alone FROM limited
    WINDOW pair AS (PARTITION BY pair_id)
)
"""  # noqa: S608 - as above
CONTRASTED = f"""
CREATE TABLE selection AS
WITH used AS (
    SELECT DISTINCT pair_id, "order", unnest([sample, rejected]) AS sample FROM ranked JOIN size USING (is_labelled) WHERE place <= mixed
), prompts AS (
    SELECT DISTINCT pair_id, "order", place <= balanced AS is_balanced, place <= mixed AS is_mixed
    FROM ranked JOIN size USING (is_labelled)
)
SELECT pair_id, "order", sample, rated.gold, rated.shuffle,
    CASE
        WHEN used.sample IS NOT NULL THEN NULL
        WHEN is_right AND is_cut THEN '{Drop.TRUNCATED}'
        WHEN has_sound AND NOT is_passed THEN '{Drop.LOW_PASS_RATE}'
        WHEN is_passed AND NOT is_mirrored THEN '{Drop.MIRROR_NOT_KEPT}'
        WHEN prompts.is_balanced IS NULL THEN '{Drop.NO_CONTRAST}'
        WHEN NOT prompts.is_balanced THEN '{Drop.UNBALANCED}'
        WHEN NOT prompts.is_mixed THEN '{Drop.NOT_MIXED}'
        ELSE '{Drop.NOT_DRAWN}'
    END AS dropped
FROM rated LEFT JOIN used USING (pair_id, "order", sample) LEFT JOIN prompts USING (pair_id, "order")
"""  # noqa: S608 - as above
CONTRASTED_KEPT = """
CREATE TABLE kept AS
SELECT pair_id, "order", sample, rejected, row_number() OVER (ORDER BY drawn, pair_id, "order", sample, rejected) - 1 AS place
FROM ranked JOIN size USING (is_labelled) WHERE place <= mixed
"""
# The ordered pairs that are left of each source, by the letter that is right.
DRAWN = """
SELECT is_labelled, gold, max(place) FROM ranked WHERE is_drawn GROUP BY ALL
"""


def open_database(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A database in the scratch folder, so that it may be larger than memory."""
    path = scratch / "select.duckdb"
    path.unlink(missing_ok=True)
    spill = str(scratch / "spill")
    database = duckdb.connect(
        path, config={"memory_limit": f"{MEMORY}B", "threads": 2, "temp_directory": spill, "preserve_insertion_order": False}
    )
    database.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")  # hash tables are made of the second, narrow side
    return database


def names_of(paths: Sequence[Path]) -> list[str]:
    """Files as a query names them: DuckDB takes brackets, stars and question marks for patterns, and reads what fits."""
    return [escape(str(path)) for path in paths]


@dataclass(frozen=True)
class Rules:
    """What is kept of given judgments."""

    recipe: Recipe
    seed: int
    iteration: int
    share: Fraction | None = None
    """Of labelled ones among the kept ordered pairs; None takes them as they come."""


def select(
    database: duckdb.DuckDBPyConnection, judgments: Sequence[Path], rules: Rules, pairs: Sequence[Path] = ()
) -> tuple[dict[str, int], dict[Drop, int]]:
    """Decide on every judgment; counts and drops add up to the number of judgments. Leaves the tables selection and kept.

    What pairs are labelled is looked up in `pairs`, for a share of them.
    """
    names = {"seed": str(rules.seed), "iteration": str(rules.iteration)}
    limits = {"minimum_pass_rate": float(rules.recipe.minimum_pass_rate), "require_mirror": rules.recipe.require_mirror}
    [(rows,)] = database.execute(ROWS, {"judgments": names_of(judgments)}).fetchall()
    database.execute(f"SET memory_limit = '{MEMORY + ROW_MEMORY * int(rows)}B'")
    database.execute("CREATE TABLE labelled (pair_id VARCHAR)")
    if rules.share is not None:
        database.execute(GIVEN, {"pairs": names_of(pairs)})
    database.execute(RATED, {"judgments": names_of(judgments), **names, **limits})
    if rules.recipe.objective_of(rules.iteration) is Objective.SFT:
        database.execute(ONE_RIGHT)
        _set_sizes(database, rules.share)
        database.execute(ONE_RIGHT_SELECTION)
        database.execute(ONE_RIGHT_KEPT)
    else:
        database.execute(CONTRASTS, {**names, "contrasts": rules.recipe.contrasts, "require_mirror": rules.recipe.require_mirror})
        _set_sizes(database, rules.share)
        database.execute(CONTRASTED)
        database.execute(CONTRASTED_KEPT)
    return _counted(database)


def _set_sizes(database: duckdb.DuckDBPyConnection, share: Fraction | None) -> None:
    """How many ordered pairs of each letter a source keeps: as many of both letters, and then as its share asks for."""
    drawn = {(is_labelled, gold): count for is_labelled, gold, count in database.execute(DRAWN).fetchall()}
    labelled, synthetic = (min(drawn.get((source, verdict.value), 0) for verdict in Verdict) for source in (True, False))
    kept = (labelled, synthetic) if share is None else mixed(labelled, synthetic, share)
    rows = [(True, labelled, kept[0]), (False, synthetic, kept[1])]
    database.execute("CREATE TABLE size (is_labelled BOOLEAN, balanced BIGINT, mixed BIGINT)")
    database.executemany("INSERT INTO size VALUES (?, ?, ?)", rows)


def _counted(database: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[Drop, int]]:
    tally = database.execute("SELECT dropped, gold, count(*) FROM selection GROUP BY ALL").fetchall()
    kept = {letter: sum(n for dropped, gold, n in tally if dropped is None and gold == letter) for letter in ("A", "B")}
    drops = {reason: sum(n for dropped, _, n in tally if dropped == reason) for reason in Drop}
    [(examples,)] = database.execute("SELECT count(*) FROM kept").fetchall()
    counts = {
        "judgments": sum(n for *_, n in tally),
        "kept": sum(kept.values()),
        "kept A": kept["A"],
        "kept B": kept["B"],
        "examples": examples,
    }
    return counts, {reason: count for reason, count in drops.items() if count}
