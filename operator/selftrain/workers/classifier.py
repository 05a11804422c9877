"""Classification before anything is written: which instructions of a shard are wanted, and what all of them are."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selftrain.api.instructions import Classify
from selftrain.api.records import Drop
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Spec
from selftrain.method.classes import Class, parse_class, unwanted
from selftrain.prompts import Template
from selftrain.storage.instructions import Instruction
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.flow import Steps
from selftrain.workers.sampling import Sampler
from selftrain.workers.shards import Made, Row, total
from selftrain.workers.writer import written

Write = Callable[[Sequence[Instruction]], Steps]


@dataclass(frozen=True)
class Classifier:
    """Asks the generator what instructions are, greedily, and has pairs written of those that are wanted."""

    sampler: Sampler
    template: Template
    wanted: Classify
    spec: Spec

    def make(self, rows: Sequence[Instruction], write: Write) -> Steps:
        """One row an instruction, in order, whoever dropped it."""
        sampled = yield self._requests(rows)
        found = {row.id: self._read(samples) for row, samples in zip(rows, sampled.completions, strict=True)}
        drops = {name: drop for name, one in found.items() if (drop := one if isinstance(one, Drop) else unwanted(one, self.wanted))}
        made = yield from write([row for row in rows if row.id not in drops])
        written = {str(row["pair_id"]): row for row in made.rows}
        joined = [{**(written.get(row.id) or _dropped(row, drops[row.id])), **_columns(found[row.id])} for row in rows]
        kinds = Counter(f"instructions in {one.category}" for one in found.values() if isinstance(one, Class))
        pairs = Counter(f"pairs in {row['category']}" for row in joined if row.get("dropped") is None)
        return Made(
            rows=joined,
            counts={**made.counts, "instructions": len(rows), **kinds, **pairs},
            drops=total([Counter(drops.values()), made.drops]),
            tokens=sampled.tokens + made.tokens,
            seconds=sampled.seconds + made.seconds,
        )

    def _requests(self, rows: Sequence[Instruction]) -> list[Request]:
        sampling = Sampling.greedy(self.spec.generate)
        values = [{"instruction": row.text, "scale": str(self.wanted.scale)} for row in rows]
        seeds = [seed_of(self.spec.seed, "generate", "classify", row.id) for row in rows]
        return [self.sampler.request(self.template, own, seed, sampling) for own, seed in zip(values, seeds, strict=True)]

    def _read(self, samples: Sequence[Completion] | None) -> Class | Drop:
        if samples is None:
            return Drop.TOO_LONG
        said = written(samples[0])
        if not said.whole:
            return Drop.TRUNCATED
        return parse_class(said.text, self.wanted.scale) or Drop.UNCLASSIFIED


def _dropped(row: Instruction, drop: Drop) -> Row:
    return {"pair_id": row.id, "instruction": row.text, "dropped": drop.value}


def _columns(found: Class | Drop) -> Row:
    if isinstance(found, Drop):
        return {}
    return {"category": found.category.value, "complexity": found.complexity, "length": found.length.value}
