"""select: from judgments to a training set. One right judgment an ordered pair, as many that say A as say B.

The tables are DuckDB's work, in bounded memory. Every draw is the order of hashes of (purpose, run seed,
iteration, judgment), so it depends neither on the order of rows nor on how they were cut into parts.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.recipes import Recipe
from selftrain.api.records import Drop, Order
from selftrain.api.stages import Stage, Step
from selftrain.method.pairs import shown
from selftrain.prompts import Template, resolve
from selftrain.storage.commit import manifest_digest
from selftrain.storage.tables import EXAMPLES
from selftrain.workers.context import Context, finished, input_name
from selftrain.workers.rows import fetch_all
from selftrain.workers.shards import Made, Row, ShardedStage, digests

MEMORY = "96MB"
"""What DuckDB may hold; it spills the rest to the scratch folder."""
ROWS = 256
DEALT = 2048
"""Examples put in order at once."""
PAIRS_STEP = Step(1, Stage.GENERATE)

BOTH_ORDERS = "(" + " AND ".join(f"bool_or(is_passed AND \"order\" = '{order}') OVER pair" for order in Order) + ")"
# The name of a judgment, hashed once for each purpose.
SELECTION = f"""
CREATE TABLE selection AS
WITH judged AS (
    SELECT pair_id, "order", sample, verdict,
        CASE "order" {" ".join(f"WHEN '{order}' THEN '{order.gold}'" for order in Order)} END AS gold,
        concat_ws(chr(31), $seed, $iteration, pair_id, "order", sample) AS name
    FROM read_parquet($judgments)
), hashed AS (
    SELECT * EXCLUDE name,
        md5_number_lower('draw' || chr(31) || name) AS draw,
        md5_number_lower('balance' || chr(31) || name) AS balance,
        md5_number_lower('shuffle' || chr(31) || name) AS shuffle
    FROM judged
), rated AS (
    SELECT *, verdict IS NOT DISTINCT FROM gold AS is_right,
        avg((verdict IS NOT DISTINCT FROM gold)::INT) OVER (PARTITION BY pair_id, "order") AS pass_rate
    FROM hashed
), passed AS (
    SELECT *, pass_rate > 0 AND pass_rate >= $minimum_pass_rate AS is_passed FROM rated
), mirrored AS (
    SELECT *, NOT $require_mirror OR {BOTH_ORDERS} AS is_mirrored
    FROM passed
    WINDOW pair AS (PARTITION BY pair_id)
), drawn AS (
    SELECT *, is_right AND is_passed AND is_mirrored AND row_number() OVER (
        PARTITION BY pair_id, "order", is_right ORDER BY draw, sample
    ) = 1 AS is_drawn
    FROM mirrored
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY is_drawn, gold ORDER BY balance, pair_id) AS place
    FROM drawn
), size AS (
    SELECT least(count(*) FILTER (is_drawn AND gold = 'A'), count(*) FILTER (is_drawn AND gold = 'B')) AS each FROM drawn
)
SELECT pair_id, "order", sample, gold, shuffle,
    CASE
        WHEN verdict IS NULL THEN '{Drop.UNPARSED}'
        WHEN verdict <> gold THEN '{Drop.WRONG}'
        WHEN NOT is_passed THEN '{Drop.LOW_PASS_RATE}'
        WHEN NOT is_mirrored THEN '{Drop.MIRROR_NOT_KEPT}'
        WHEN NOT is_drawn THEN '{Drop.NOT_DRAWN}'
        WHEN place > each THEN '{Drop.UNBALANCED}'
    END AS dropped
FROM ranked, size
"""  # noqa: S608 - what is put in are words of our own enums
KEPT = """
CREATE TABLE kept AS
SELECT pair_id, "order", sample, row_number() OVER (ORDER BY shuffle, pair_id, "order") - 1 AS place FROM selection WHERE dropped IS NULL
"""
# Joins of texts with the few narrow rows that were kept; the second table is the one that is hashed.
TRACES = 'SELECT k.*, j.trace FROM read_parquet($parts) j JOIN kept k USING (pair_id, "order", sample)'
QUESTIONS = "SELECT k.place, p.instruction, p.chosen, p.rejected FROM read_parquet($parts) p JOIN kept k USING (pair_id)"


def run(context: Context) -> None:
    """Select, build the training set, and commit it with the count of everything that was left out."""
    judgments_step = Step(context.work.iteration, Stage.JUDGE)
    template = resolve(context.work.spec.prompts, "judge")
    steps = (PAIRS_STEP, judgments_step)
    stage = ShardedStage(
        context, EXAMPLES, 1,
        inputs={input_name(step): manifest_digest(context.store, context.layout, step) for step in steps},
        prompts=digests({"judge": template}),
    )  # fmt: skip
    if stage.missing(parallelism=1):
        pairs, judgments = (fetch_all(context.store, finished(context, step).parts, context.scratch) for step in steps)
        with open_database(context.scratch) as database:
            spec = context.work.spec
            counts, drops = select(database, judgments, spec.resolved, spec.seed, context.work.iteration)
            require_selection(counts, drops)
            stage.write(0, Made(training_set(database, pairs, judgments, template), counts, drops))
    if (done := stage.complete()) is not None:
        stage.commit(done)


def open_database(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A database in the scratch folder, so that it may be larger than memory."""
    path = scratch / "select.duckdb"
    path.unlink(missing_ok=True)
    spill = str(scratch / "spill")
    database = duckdb.connect(
        path, config={"memory_limit": MEMORY, "threads": 2, "temp_directory": spill, "preserve_insertion_order": False}
    )
    database.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")  # hash tables are made of the second, narrow side
    return database


def select(
    database: duckdb.DuckDBPyConnection, judgments: Sequence[Path], recipe: Recipe, seed: int, iteration: int
) -> tuple[dict[str, int], dict[Drop, int]]:
    """Decide on every judgment; counts and drops add up to the number of judgments."""
    database.execute(
        SELECTION,
        {
            "judgments": _names(judgments),
            "seed": str(seed),
            "iteration": str(iteration),
            "minimum_pass_rate": float(recipe.minimum_pass_rate),
            "require_mirror": recipe.require_mirror,
        },
    )
    tally = database.execute("SELECT dropped, gold, count(*) FROM selection GROUP BY ALL").fetchall()
    kept = {letter: sum(n for dropped, gold, n in tally if dropped is None and gold == letter) for letter in ("A", "B")}
    drops = {reason: sum(n for dropped, _, n in tally if dropped == reason) for reason in Drop}
    counts = {"judgments": sum(n for *_, n in tally), "kept": sum(kept.values()), "kept A": kept["A"], "kept B": kept["B"]}
    return counts, {reason: count for reason, count in drops.items() if count}


def require_selection(counts: dict[str, int], drops: dict[Drop, int]) -> None:
    """Stop a run that has nothing to train on. What was judged stays."""
    if counts["kept"]:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in drops.items())
    if counts["judgments"] == drops.get(Drop.UNPARSED, 0):
        message = f"none of {counts['judgments']} judgments says [[A]] or [[B]], and one of them only"
        fix = "look at the traces in the judge shards, then change the judge prompt, judge.maxTokens or the model in a new run"
        raise UserError(Reason.NO_VERDICTS, message, fix)
    message = f"none of {counts['judgments']} judgments was kept ({reasons})"
    raise UserError(Reason.NOTHING_SELECTED, message, "raise judge.samples, judge both orders, or take a better seed in a new run")


def training_set(
    database: duckdb.DuckDBPyConnection, pairs: Sequence[Path], judgments: Sequence[Path], template: Template
) -> Iterator[Row]:
    """The kept judgments in shuffled order: what the judge was shown, and what it wrote.

    Texts are dealt out to files by place as they come and put in order a file at a time: a sort of whole texts, or their
    join, would be held in memory.
    """
    database.execute(KEPT)
    [(kept,)] = database.execute("SELECT count(*) FROM kept").fetchall()
    files = [judgments[0].parent / f"dealt-{number}" for number in range(1 + kept // DEALT)]
    with ExitStack() as stack:
        hands = [stack.enter_context(path.open("w", encoding="utf-8")) for path in files]
        for query, parts in ((TRACES, judgments), (QUESTIONS, pairs)):
            for batch in database.sql(query, params={"parts": _names(parts)}).to_arrow_reader(ROWS):
                for row in batch.to_pylist():
                    print(json.dumps(row), file=hands[row["place"] // DEALT])
    for path in files:
        yield from _examples(path, template)


def _examples(path: Path, template: Template) -> Iterator[Row]:
    """The examples whose halves were dealt to one file."""
    halves: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            halves[row["place"]] |= row
    for _, row in sorted(halves.items()):
        messages = template.messages(shown(row["instruction"], row["chosen"], row["rejected"], Order(row["order"])))
        key = {name: row[name] for name in ("pair_id", "order", "sample")}
        yield {**key, "messages": messages, "completion": row["trace"]}


def _names(paths: Sequence[Path]) -> list[str]:
    return [str(path) for path in paths]
