"""Distributions of an iteration's judgments, from the tables that workers/selection leaves. Texts are only read in a sample."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from selftrain.api.records import Distributions, Drop, Fate, Order
from selftrain.method.distributions import Alike, by_order, distinct, lengths, mean_entropy, pass_rates
from selftrain.workers.selection import names_of

SAMPLED = 500
"""Judgments in which repetition is looked for, drawn by hash: as many in every iteration."""

LENGTHS = """
SELECT tokens, count(*), count(*) FILTER (dropped IS NULL)
FROM read_parquet($judgments) JOIN selection USING (pair_id, "order", sample) GROUP BY ALL
"""
ALIKE = """
SELECT * EXCLUDE pair_id, count(*) FROM (
    SELECT pair_id, "order", count(*) FILTER (verdict = 'A') AS a, count(*) FILTER (verdict = 'B') AS b, count(*) AS judgments,
        bool_or(dropped IS NULL) AS is_kept
    FROM rated JOIN selection USING (pair_id, "order", sample) GROUP BY ALL
) GROUP BY ALL
"""
TRACES = """
SELECT trace FROM read_parquet($judgments) JOIN (
    SELECT pair_id, "order", sample FROM rated ORDER BY shuffle, pair_id, "order", sample LIMIT $sampled
) USING (pair_id, "order", sample)
"""
PAIRS = """
SELECT kind, count(*) FROM read_parquet($pairs) SEMI JOIN rated USING (pair_id) GROUP BY ALL ORDER BY kind
"""
FATES = """
SELECT kind, dropped, count(*), count(*) FILTER (is_right)
FROM rated JOIN selection USING (pair_id, "order", sample) JOIN (SELECT pair_id, kind FROM read_parquet($pairs)) USING (pair_id)
GROUP BY ALL ORDER BY kind, dropped
"""


def distributions(database: duckdb.DuckDBPyConnection, pairs: Sequence[Path], judgments: Sequence[Path]) -> Distributions:
    """All distributions of what was judged, and of what of it was kept."""
    files = {"judgments": names_of(judgments)}
    measured = database.execute(LENGTHS, files).fetchall()
    groups = [Alike(Order(order), *rest) for order, *rest in database.execute(ALIKE).fetchall()]
    traces = database.execute(TRACES, {**files, "sampled": SAMPLED}).fetchall()
    return Distributions(
        lengths=lengths({tokens: count for tokens, count, _ in measured}),
        kept_lengths=lengths({tokens: kept for tokens, _, kept in measured}),
        pass_rates=pass_rates(groups),
        kept_pass_rates=pass_rates(group for group in groups if group.is_kept),
        orders=by_order(groups),
        entropy=mean_entropy(groups),
        distinct=distinct(trace for (trace,) in traces),
        kinds=_fates(database, pairs),
    )


def _fates(database: duckdb.DuckDBPyConnection, pairs: Sequence[Path]) -> dict[str, Fate]:
    files = {"pairs": names_of(pairs)}
    counted = dict(database.execute(PAIRS, files).fetchall())
    tallies: defaultdict[str, list[tuple[str | None, int, int]]] = defaultdict(list)
    for kind, *tally in database.execute(FATES, files).fetchall():
        tallies[kind].append((tally[0], tally[1], tally[2]))
    return {kind: _fate(count, tallies[kind]) for kind, count in counted.items()}


def _fate(pairs: int, tally: Iterable[tuple[str | None, int, int]]) -> Fate:
    known = list(tally)
    return Fate(
        pairs=pairs,
        judgments=sum(count for _, count, _ in known),
        right=sum(right for *_, right in known),
        kept=sum(count for dropped, count, _ in known if dropped is None),
        drops={Drop(dropped): count for dropped, count, _ in known if dropped is not None},
    )
