"""The model card beside a checkpoint."""

from selftrain.api.names import CARD
from selftrain.api.records import Manifest, Part, Work
from selftrain.api.stages import Stage, Step
from selftrain.planning.steps import PAIRS_STEP, SEED_STEP, last_of, steps
from selftrain.report.card import Subject, card
from selftrain.report.summary import against_seed
from selftrain.storage.commit import manifest_digest, read_manifest
from selftrain.storage.digests import digest
from selftrain.storage.protocol import ObjectStore


def write_card(store: ObjectStore, work: Work, own: Manifest) -> Part | None:
    """Write the card of a judge in the last step of its iteration. `own` is that step's manifest, about to be committed.

    The seed has no card of ours. The text follows from committed data alone, so that it does not matter how often it is written.
    """
    iteration, spec, layout = work.iteration, work.spec, work.layout
    if iteration == 0 or work.step != last_of(spec, iteration):
        return None
    earlier = [step for step in steps(spec) if step.iteration <= iteration and step != work.step]
    read = {step: read_manifest(store, layout, step) for step in earlier}
    manifests = {step: manifest for step, manifest in read.items() if manifest is not None} | {work.step: own}
    made_by = [PAIRS_STEP, *(Step(iteration, stage) for stage in (Stage.JUDGE, Stage.SELECT, Stage.TRAIN))]
    paired, paired_with_votes = against_seed(store, spec, manifests[SEED_STEP], own) if SEED_STEP in manifests else ({}, {})
    subject = Subject(
        run=work.run.name,
        spec=spec,
        iteration=iteration,
        manifests=manifests,
        digests={step: manifest_digest(store, layout, step) for step in made_by if step != work.step},
        paired=paired,
        paired_with_votes=paired_with_votes,
    )
    text, key = card(subject).encode(), f"{subject.of(Stage.TRAIN).checkpoint}{CARD}"
    store.write(key, text)
    return Part(key=key, sha256=digest(text), bytes=len(text))
