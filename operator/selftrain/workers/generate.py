"""generate: an answer to every instruction and a worse one, in one pass over the instructions. Runs once; pairs are fixed."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.api.instructions import Instructions
from selftrain.api.records import Drop, Split
from selftrain.api.v1alpha1 import Labelled, Spec
from selftrain.method.pairs import HeldOut
from selftrain.method.split import hold_out, split_of
from selftrain.prompts import PromptName, Template, resolve
from selftrain.storage.benchmarks import read_benchmark
from selftrain.storage.digests import canonical_json, digest
from selftrain.storage.instructions import Instruction, instruction_id, scan_instructions
from selftrain.storage.tables import pairs_schema
from selftrain.workers.classifier import Classifier, Write
from selftrain.workers.context import Context, generator, instructions, labelled
from selftrain.workers.sampling import Load, Sampler, load_sampler
from selftrain.workers.shards import Made, ShardedStage, bounds, cut, digests, total
from selftrain.workers.writer import Writer

LABELLED = "labelled"
"""The kind of pairs that were not made here."""
HELD_OUT = "pairs held out"
"""The count of pairs whose instruction is held out, which are among the pairs."""


def run(context: Context, load: Load = load_sampler) -> None:
    """Make pairs, shard by shard: the synthetic ones first, then the labelled ones, which are only copied."""
    spec = context.work.spec
    templates = {name: resolve(spec.prompts, name) for name in prompt_names(spec)}
    sources, (model_name, model) = read_sources(context), generator(context)
    completions = spec.resolved.answers + len(templates) - 1  # one for each of the other prompts
    synthetic = cut(sources.count, spec.generate.shards, completions)
    copied = cut(len(sources.labelled), 1, 1)
    stage = ShardedStage(
        context, pairs_schema(spec.instructions), synthetic + copied,
        inputs={**sources.digests, model_name: model.digest},
        prompts=digests(templates),
    )  # fmt: skip
    missing = stage.missing(spec.generate.parallelism)
    if sampled := [shard for shard in missing if shard < synthetic]:
        make = maker(load(model.path, spec.generate, list(templates.values())), templates, spec)
        with context.drain.deferred():
            for shard, rows in _cut(sources, synthetic, stage.undrained(sampled)):
                stage.write(shard, marked(make(rows), sources.held_out))
    for shard in stage.undrained(shard for shard in missing if shard >= synthetic):
        start, stop = bounds(len(sources.labelled), copied, shard - synthetic)
        stage.write(shard, marked(copy(sources.labelled[start:stop]), sources.held_out))
    if (done := stage.complete()) is not None:
        drops = total([sources.drops, *(marker.drops for marker in done.values())])
        require_pairs(drops, sum(marker.counts["pairs"] - marker.counts.get(HELD_OUT, 0) for marker in done.values()))
        stage.commit(done, {"rows": sources.count + len(sources.labelled) + sum(sources.drops.values())}, sources.drops)


def prompt_names(spec: Spec) -> tuple[PromptName, ...]:
    """The prompts that the generator is asked."""
    classify: tuple[PromptName, ...] = ("classify",) if spec.instructions and spec.instructions.classify else ()
    return (*classify, "answer", "variation")


def maker(sampler: Sampler, templates: Mapping[PromptName, Template], spec: Spec) -> Write:
    """What makes the pairs of a shard's instructions."""
    writer = Writer(sampler, templates["answer"], templates["variation"], spec)
    if spec.instructions is None or spec.instructions.classify is None:
        return writer.make
    return partial(Classifier(sampler, templates["classify"], spec.instructions.classify, spec).make, write=writer.make)


@dataclass(frozen=True)
class Sources:
    """What pairs are made from."""

    paths: Sequence[Path]
    """The files of instructions."""
    instructions: Instructions | None
    count: int
    """Distinct instructions that are used."""
    held_out: Collection[str]
    """Ids of those of them that are not for training."""
    drops: Mapping[Drop, int]
    """What was left out of the file before that."""
    labelled: Sequence[HeldOut]
    digests: Mapping[str, str]


def read_sources(context: Context) -> Sources:
    """All inputs but the model. Raises UserError if one cannot be used."""
    spec, files, own = context.work.spec, instructions(context), labelled(context)
    drops: Counter[Drop] = Counter()
    ids = [row.id for row in scan_instructions(files.paths, spec.instructions, drops)] if files and spec.instructions else []
    pairs = read_labelled(own.path, spec.labelled) if own and spec.labelled else []
    found = {"instructions": files, "labelled": own}
    return Sources(
        paths=files.paths if files else (),
        instructions=spec.instructions,
        count=len(ids),
        held_out=_held_out(spec, ids),
        drops=dict(drops),
        labelled=pairs,
        digests={name: source.digest for name, source in found.items() if source},
    )


def read_labelled(path: Path, settings: Labelled) -> list[HeldOut]:
    """The labelled pairs that are used."""
    try:
        return read_benchmark(path, settings.format)[: settings.limit]
    except UserError as error:
        raise UserError(Reason.LABELLED_INVALID, error.message, REASONS[Reason.LABELLED_INVALID][1]) from error


def copy(pairs: Sequence[HeldOut]) -> Made:
    """A shard of labelled pairs. Nothing is sampled."""
    rows = [
        {
            "pair_id": digest(canonical_json([LABELLED, *pair.values()]))[:16],
            "instruction": pair["instruction"],
            "chosen": pair["chosen"],
            "rejected": pair["rejected"],
            "kind": LABELLED,
        }
        for pair in pairs
    ]
    return Made(rows, {"pairs": len(rows), f"pairs by {LABELLED}": len(rows)}, {})


def marked(made: Made, held_out: Collection[str]) -> Made:
    """The rows with the side of their instruction, whoever brought it: a labelled pair may share a held-out one."""
    if not held_out:
        return made
    rows = [{**row, "split": split_of(instruction_id(str(row["instruction"]).encode()), held_out).value} for row in made.rows]
    pairs = sum(row["split"] == Split.VALIDATION and row.get("dropped") is None for row in rows)
    return made._replace(rows=rows, counts={**made.counts, HELD_OUT: pairs})


def require_pairs(drops: Mapping[Drop, int], pairs: int) -> None:
    """A run without a pair stops here, with what was dropped; the shards stay for people to look at."""
    if pairs == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
        fix = "look at the rows in the generate shards, then change the prompts, maxTokens or the generator in a new run"
        raise UserError(Reason.NO_PAIRS, f"no instruction gave a usable pair (dropped: {reasons})", fix)


def _held_out(spec: Spec, ids: Sequence[str]) -> Collection[str]:
    if spec.instructions is None or spec.instructions.validation is None:
        return ()
    if spec.instructions.validation >= len(ids):
        message = f"instructions.validation holds out {spec.instructions.validation} instructions, and there are only {len(ids)}"
        raise UserError(Reason.INSTRUCTIONS_INVALID, message, "lower instructions.validation, or bring more instructions")
    return hold_out(spec.seed, ids, spec.instructions.validation)


def _cut(sources: Sources, shards: int, wanted: Iterable[int]) -> Iterator[tuple[int, list[Instruction]]]:
    """Instructions of the wanted shards in ascending order, in one pass over the file and one shard in memory."""
    if sources.instructions is None:
        return
    rows, position = scan_instructions(sources.paths, sources.instructions, Counter()), 0
    for shard in wanted:
        start, stop = bounds(sources.count, shards, shard)
        yield shard, list(islice(rows, start - position, stop - position))
        position = stop
