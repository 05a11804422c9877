"""The probe for leaks on a training set: a sample of its pairs, kind by kind."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb

from selftrain.api.records import Guesses
from selftrain.method.probe import Case, case, guess
from selftrain.workers.selection import names_of

SAMPLED = 2000
"""Pairs of a kind, drawn by hash: with as many, a 95 % interval is two points to each side, and a probe takes seconds."""
ROWS = 256

# Only names are sorted; texts are fetched for the few that were drawn.
TEXTS = """
SELECT pair_id, instruction, chosen, rejected FROM read_parquet($pairs) JOIN (
    SELECT pair_id FROM (SELECT pair_id FROM read_parquet($pairs) WHERE kind = $kind) SEMI JOIN kept USING (pair_id)
    ORDER BY md5_number_lower('probe' || chr(31) || pair_id), pair_id LIMIT $sampled
) USING (pair_id)
"""


def probe(database: duckdb.DuckDBPyConnection, pairs: Sequence[Path], kinds: Iterable[str]) -> dict[str, Guesses]:
    """Guesses by kind, where pairs of the kind were kept."""
    guesses = {kind: guess(found for _, found in sorted(_cases(database, pairs, kind))) for kind in kinds}
    return {kind: guessed for kind, guessed in guesses.items() if guessed.total}


def _cases(database: duckdb.DuckDBPyConnection, pairs: Sequence[Path], kind: str) -> Iterator[tuple[str, Case]]:
    values = {"pairs": names_of(pairs), "kind": kind, "sampled": SAMPLED}
    for batch in database.sql(TEXTS, params=values).to_arrow_reader(ROWS):
        for row in batch.to_pylist():
            yield row["pair_id"], case(row["instruction"], row["chosen"], row["rejected"])
