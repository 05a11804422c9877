"""generate: an answer to every instruction and a worse one, in one pass over the instructions. Runs once; pairs are fixed."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.api.instructions import Instructions
from selftrain.api.pair_files import Labelled
from selftrain.api.records import Drop, Split
from selftrain.api.v1alpha1 import Spec
from selftrain.method.pairs import LABELLED, HeldOut
from selftrain.method.split import HELD_OUT, hold_out, split_of
from selftrain.planning.steps import WEAKER_STEP
from selftrain.prompts import Template, resolve, rewriting
from selftrain.storage.benchmarks import read_labelled
from selftrain.storage.commit import manifest_digest
from selftrain.storage.digests import canonical_json, digest
from selftrain.storage.instructions import Instruction, instruction_form, scan_instructions
from selftrain.storage.tables import pairs_schema
from selftrain.workers.classifier import Classifier
from selftrain.workers.context import Context, finished, generator, input_name, instructions, labelled
from selftrain.workers.embedding import LoadEmbedder, load_embedder, probe_meaning
from selftrain.workers.flow import Steps, in_flow
from selftrain.workers.rows import read_rows
from selftrain.workers.sampling import Load, Sampler, load_sampler
from selftrain.workers.shards import Made, ShardedStage, bounds, cut, digests, total
from selftrain.workers.writer import Writer

Make = Callable[[Sequence[Instruction], Mapping[str, str | Drop]], Steps]
"""Pairs of instructions, with a weaker model's answers by the instruction's id."""


def run(context: Context, load: Load = load_sampler, embedder: LoadEmbedder = load_embedder) -> None:
    """Make pairs, shard by shard: the synthetic ones first, then the labelled ones, which are only copied."""
    spec = context.work.spec
    prompts, sources, (model_name, model) = templates(spec), read_sources(context), generator(context)
    completions = spec.resolved.answers + len(prompts) - 1  # one for each of the other prompts
    synthetic = cut(sources.count, spec.generate.shards, completions)
    copied = cut(len(sources.labelled), 1, 1)
    earlier = {input_name(WEAKER_STEP): manifest_digest(context.store, context.layout, WEAKER_STEP)} if spec.weaker else {}
    stage = ShardedStage(
        context, pairs_schema(spec.instructions), synthetic + copied,
        inputs={**sources.digests, **earlier, model_name: model.digest},
        prompts=digests(prompts),
    )  # fmt: skip
    missing = stage.missing(spec.generate.parallelism)
    if sampled := [shard for shard in missing if shard < synthetic]:
        sampler = load(model.path, spec.generate, list(prompts.values()))
        make, wanted = maker(sampler, prompts, spec), in_shards(sources, synthetic, stage.undrained(sampled))
        begun = ((shard, make(rows, weaker_answers(context, *bounds(sources.count, synthetic, shard)))) for shard, rows in wanted)
        with context.drain.deferred():
            for shard, made in in_flow(sampler, begun):
                stage.write(shard, marked(made, sources.held_out))
    for shard in stage.undrained(shard for shard in missing if shard >= synthetic):
        start, stop = bounds(len(sources.labelled), copied, shard - synthetic)
        stage.write(shard, marked(copy(sources.labelled[start:stop]), sources.held_out))
    if (done := stage.complete()) is not None:
        drops = total([sources.drops, *(marker.drops for marker in done.values())])
        require_pairs(drops, sum(marker.counts["pairs"] - marker.counts.get(HELD_OUT, 0) for marker in done.values()))
        count = sources.count + len(sources.labelled) + sum(sources.drops.values())
        manifest = stage.manifest(done, {"rows": count}, sources.drops)
        probe = probe_meaning(context, manifest.parts, embedder)
        stage.commit(manifest.model_copy(update={"embedding_probe": probe}))


def templates(spec: Spec) -> dict[str, Template]:
    """What the generator is asked, by name. Raises UserError if one of the run's own cannot be used."""
    classify = {"classify": resolve(spec.prompts, "classify")} if spec.instructions and spec.instructions.classify else {}
    rewritten = {kind.value: rewriting(spec.prompts, kind) for kind in spec.resolved.negatives if kind.rewrites}
    return {**classify, "answer": resolve(spec.prompts, "answer"), "variation": resolve(spec.prompts, "variation"), **rewritten}


def maker(sampler: Sampler, prompts: Mapping[str, Template], spec: Spec) -> Make:
    """What makes the pairs of a shard's instructions."""
    writer = Writer(sampler, prompts, spec)
    if spec.instructions is None or spec.instructions.classify is None:
        return writer.make
    classifier = Classifier(sampler, prompts["classify"], spec.instructions.classify, spec)
    return lambda rows, weaker: classifier.make(rows, partial(writer.make, weaker=weaker))


@dataclass(frozen=True)
class Sources:
    """What pairs are made from."""

    paths: Sequence[Path]
    """The files of instructions."""
    instructions: Instructions | None
    count: int
    """Distinct instructions that are used."""
    held_out: Collection[str]
    """The forms of those of them that are not for training."""
    drops: Mapping[Drop, int]
    """What was left out before that, of the instructions and of the labelled pairs."""
    labelled: Sequence[HeldOut]
    digests: Mapping[str, str]


def read_sources(context: Context) -> Sources:
    """All inputs but the model. Raises UserError if one cannot be used."""
    spec, files, own = context.work.spec, instructions(context), labelled(context)
    drops: Counter[Drop] = Counter()
    rows = scan_instructions(files.paths, spec.instructions, drops) if files and spec.instructions else ()
    splits = spec.instructions is not None and spec.instructions.validation is not None
    forms = {row.id: instruction_form(row.text) if splits else "" for row in rows}
    pairs = labelled_pairs(own.path, spec.labelled, drops) if own and spec.labelled else []
    found = {"instructions": files, "labelled": own}
    return Sources(
        paths=files.paths if files else (),
        instructions=spec.instructions,
        count=len(forms),
        held_out=_held_out(spec, forms),
        drops=dict(drops),
        labelled=pairs,
        digests={name: source.digest for name, source in found.items() if source},
    )


def labelled_pairs(path: Path, settings: Labelled, drops: Counter[Drop]) -> list[HeldOut]:
    """The labelled pairs that are used; what is left out before them is added to `drops`."""
    left_out: Counter[Drop] = Counter()
    try:
        pairs = read_labelled(path, settings.format, settings.limit, left_out)
    except UserError as error:
        raise UserError(Reason.LABELLED_INVALID, error.message, REASONS[Reason.LABELLED_INVALID][1]) from error
    drops.update(left_out)
    return pairs


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
    rows = [{**row, "split": split_of(instruction_form(str(row["instruction"])), held_out).value} for row in made.rows]
    pairs = sum(row["split"] == Split.VALIDATION and row.get("dropped") is None for row in rows)
    return made._replace(rows=rows, counts={**made.counts, HELD_OUT: pairs})


def require_pairs(drops: Mapping[Drop, int], pairs: int) -> None:
    """A run without a pair stops here, with what was dropped; the shards stay for people to look at."""
    if pairs == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
        fix = "look at the rows in the generate shards, then change the prompts, maxTokens or the generator in a new run"
        raise UserError(Reason.NO_PAIRS, f"no instruction gave a usable pair (dropped: {reasons})", fix)


def _held_out(spec: Spec, forms: Mapping[str, str]) -> Collection[str]:
    if spec.instructions is None or spec.instructions.validation is None:
        return ()
    if spec.instructions.validation >= len(forms):
        message = f"instructions.validation holds out {spec.instructions.validation} instructions, and there are only {len(forms)}"
        raise UserError(Reason.INSTRUCTIONS_INVALID, message, "lower instructions.validation, or bring more instructions")
    return {forms[name] for name in hold_out(spec.seed, forms, spec.instructions.validation)}


def weaker_answers(context: Context, start: int, stop: int) -> dict[str, str | Drop]:
    """What the weaker model said to the instructions from `start` to `stop`, or what was wrong with it; nothing without such a model."""
    if context.work.spec.weaker is None:
        return {}
    rows = read_rows(context.store, finished(context, WEAKER_STEP).parts, context.scratch, start, stop)
    return {row["pair_id"]: Drop(row["dropped"]) if row["dropped"] else row["answer"] for row in rows}


def in_shards(sources: Sources, shards: int, wanted: Iterable[int]) -> Iterator[tuple[int, list[Instruction]]]:
    """Instructions of the wanted shards in ascending order, in one pass over the file and one shard in memory."""
    if sources.instructions is None:
        return
    rows, position = scan_instructions(sources.paths, sources.instructions, Counter()), 0
    for shard in wanted:
        start, stop = bounds(sources.count, shards, shard)
        yield shard, list(islice(rows, start - position, stop - position))
        position = stop
