"""The model card beside a checkpoint."""

from selftrain.api.records import Manifest, Part
from selftrain.api.stages import Stage, Step
from selftrain.planning.steps import PAIRS_STEP, SEED_STEP, steps
from selftrain.report.card import Subject, card
from selftrain.report.summary import against_seed
from selftrain.storage.commit import manifest_digest, read_manifest
from selftrain.storage.digests import digest
from selftrain.workers.context import Context


def write_card(context: Context, own: Manifest) -> Part | None:
    """Write the card of an evaluated judge. `own` is the manifest about to be committed; the seed has no card of ours.

    The text follows from committed data alone, so that it does not matter how often it is written.
    """
    iteration, store, layout = context.work.iteration, context.store, context.layout
    if iteration == 0:
        return None
    earlier = [step for step in steps(context.work.spec) if step.iteration <= iteration and step != context.work.step]
    read = {step: read_manifest(store, layout, step) for step in earlier}
    manifests = {step: manifest for step, manifest in read.items() if manifest is not None} | {context.work.step: own}
    made_by = (PAIRS_STEP, *(Step(iteration, stage) for stage in (Stage.JUDGE, Stage.SELECT, Stage.TRAIN)))
    paired, paired_with_votes = against_seed(store, context.work.spec, manifests[SEED_STEP], own) if SEED_STEP in manifests else ({}, {})
    subject = Subject(
        run=context.work.run.name,
        spec=context.work.spec,
        iteration=iteration,
        manifests=manifests,
        digests={step: manifest_digest(store, layout, step) for step in made_by},
        paired=paired,
        paired_with_votes=paired_with_votes,
    )
    text, key = card(subject).encode(), layout.card(iteration)
    store.write(key, text)
    return Part(key=key, sha256=digest(text), bytes=len(text))
