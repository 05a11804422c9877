"""select: from judgments to a training set, in bounded memory: what is kept (workers/selection) joined with its texts."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import duckdb

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop, Evidence, Order
from selftrain.api.stages import Stage, Step
from selftrain.method.pairs import shown
from selftrain.planning.steps import PAIRS_STEP
from selftrain.prompts import Template, resolve
from selftrain.storage.commit import manifest_digest
from selftrain.storage.tables import EXAMPLES
from selftrain.workers.context import Context, finished, input_name
from selftrain.workers.distributions import distributions
from selftrain.workers.probe import probe
from selftrain.workers.rows import fetch_all
from selftrain.workers.selection import Rules, names_of, open_database, select
from selftrain.workers.shards import Made, Row, ShardedStage, digests

ROWS = 256
DEALT, FILES = 1024, 256
"""Examples put in order at once; more only where they would need more files than may be open."""

# Joins of texts with the few narrow rows that were kept; the second table is the one that is hashed.
COMPLETIONS = """
SELECT k.place, k.pair_id, k."order", k.sample, j.trace AS completion
FROM read_parquet($parts) j JOIN kept k USING (pair_id, "order", sample)
"""
REJECTED = """
SELECT k.place, j.trace AS rejected FROM read_parquet($parts) j JOIN kept k
ON j.pair_id = k.pair_id AND j."order" = k."order" AND j.sample = k.rejected
"""
QUESTIONS = """
SELECT k.place, p.instruction, p.chosen, p.rejected AS worse FROM read_parquet($parts) p JOIN kept k USING (pair_id)
"""


def run(context: Context) -> None:
    """Select, build the training set, and commit it with the count of everything that was left out and what it is made of."""
    judgments_step = Step(context.work.iteration, Stage.JUDGE)
    template = resolve(context.work.spec.prompts, "judge")
    steps = (PAIRS_STEP, judgments_step)
    stage = ShardedStage(
        context, EXAMPLES, 1,
        inputs={input_name(step): manifest_digest(context.store, context.layout, step) for step in steps},
        prompts=digests({"judge": template}),
    )  # fmt: skip
    pairs, judgments = (fetch_all(context.store, finished(context, step).parts, context.scratch) for step in steps)
    with open_database(context.scratch) as database:
        spec = context.work.spec
        share = Fraction(spec.labelled.share) if spec.labelled and spec.labelled.share else None
        rules = Rules(spec.resolved, spec.seed, context.work.iteration, share)
        counts, drops = select(database, judgments, rules, pairs)
        require_selection(counts, drops)
        if stage.missing(parallelism=1):
            stage.write(0, Made(training_set(database, pairs, judgments, template), counts, drops))
        found = distributions(database, pairs, judgments)
        evidence = Evidence(distributions=found, probe=probe(database, pairs, found.kinds))
    if (done := stage.complete()) is not None:
        stage.commit(stage.manifest(done).model_copy(update={"evidence": evidence}))


def require_selection(counts: dict[str, int], drops: dict[Drop, int]) -> None:
    """Stop a run that has nothing to train on. What was judged stays."""
    if counts["kept"]:
        return
    if not counts["judgments"]:
        message = "there are no judgments: the drops of judge's manifest say why, for example prompts that do not fit into the context"
        fix = "lower judge.maxTokens or generate.maxTokens, or raise judge.maxModelLength, in a new run"
        raise UserError(Reason.NOTHING_SELECTED, message, fix)
    reasons = ", ".join(f"{count} {reason}" for reason, count in drops.items())
    if counts["judgments"] == drops.get(Drop.UNPARSED, 0):
        message = f"none of {counts['judgments']} judgments says [[A]] or [[B]], and one of them only"
        fix = "look at the traces in the judge shards, then change prompts.judge or plan, judge.maxTokens or the model in a new run"
        raise UserError(Reason.NO_VERDICTS, message, fix)
    message = f"none of {counts['judgments']} judgments was kept ({reasons})"
    fix = "raise judge.samples, judge both orders, or take a better seed in a new run"
    raise UserError(Reason.NOTHING_SELECTED, message, f"leave out labelled.share, or {fix}" if Drop.NOT_MIXED in drops else fix)


def training_set(
    database: duckdb.DuckDBPyConnection, pairs: Sequence[Path], judgments: Sequence[Path], template: Template
) -> Iterator[Row]:
    """The kept judgments in shuffled order: what the judge was shown, and what it wrote.

    Texts are dealt out to files by place as they come and put in order a file at a time: a sort of whole texts, or their
    join, would be held in memory.
    """
    [(kept, contrasts)] = database.execute("SELECT count(*), count(rejected) FROM kept").fetchall()
    queries = [(COMPLETIONS, judgments), (QUESTIONS, pairs), *([(REJECTED, judgments)] if contrasts else [])]
    share = max(DEALT, ceil(kept / FILES))
    files = [judgments[0].parent / f"dealt-{number}" for number in range(ceil(kept / share))]
    with ExitStack() as stack:
        hands = [stack.enter_context(path.open("w", encoding="utf-8")) for path in files]
        for query, parts in queries:
            for batch in database.sql(query, params={"parts": names_of(parts)}).to_arrow_reader(ROWS):
                for row in batch.to_pylist():
                    print(json.dumps(row), file=hands[row["place"] // share])
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
        messages = template.messages(shown(row["instruction"], row["chosen"], row["worse"], Order(row["order"])))
        key = {name: row[name] for name in ("pair_id", "order", "sample")}
        yield {**key, "messages": messages, "completion": row["completion"], "rejected": row.get("rejected")}
