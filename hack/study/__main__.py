"""Run what is not finished yet, then write the results: python -m study OUT [NAME...]; a NAME is an experiment or one run of it.

OUT holds the runs and may be thrown away. What is known of a finished run is a file in docs/results/study: such a run is not carried out
again unless its manifest or its world has changed. Stop it whenever you like; it goes on after the last committed shard.
"""

import json
import shutil
import sys
from pathlib import Path

import yaml
from trial.cluster import ROOT

from selftrain.local.command import local
from selftrain.local.manifest import read_run
from selftrain.planning.steps import PAIRS_STEP
from selftrain.storage.open import open_store
from study.experiments import Experiment, experiments
from study.plots import accuracy, held_out_lookups, training_lookups
from study.record import Reader, finished, read_records, record_of, relabelled
from study.results import page, rows
from study.worlds import prepare, truths, write

RESULTS = ROOT / "docs" / "results"
RECORDS = RESULTS / "study"


def carry_out(experiment: Experiment, out: Path) -> None:
    """One run to its end, and its record."""
    place = prepare(experiment.family, out)
    if experiment.source:
        shutil.copy(pairs_of(experiment.source), place)
    manifest, summary = (out / kind / f"{experiment.run}.{kind}" for kind in ("yaml", "json"))
    for folder in (manifest.parent, summary.parent, RECORDS):
        folder.mkdir(parents=True, exist_ok=True)
    manifest.write_text(yaml.safe_dump(experiment.manifest(place.as_uri()), sort_keys=False))
    print(f"== {experiment.run}", flush=True)
    if local(manifest, f"file://{out}/store", out / "work", summary):
        sys.exit(f"study: {experiment.run} stopped; correct it and start again")
    run = read_run(manifest, f"file://{out}/store")
    store = open_store(run.spec.store)
    record = record_of(experiment, run, store, json.loads(summary.read_text()))
    if experiment.run in {other.source for other in experiments()}:
        write(pairs_of(experiment.run), relabelled(Reader(run, store).rows(PAIRS_STEP), truths(experiment.family)))
    (RECORDS / f"{experiment.run}.json").write_text(json.dumps(record, indent=1) + "\n")


def pairs_of(run: str) -> Path:
    """Where the pairs of a run lie with their labels put right, if another run learns from them."""
    return RECORDS / f"{run}.jsonl"


def main() -> None:
    out, only = Path(sys.argv[1]).resolve(), set(sys.argv[2:])
    known = read_records(RECORDS)
    for experiment in experiments():
        if (not only or only & {experiment.name, experiment.run}) and not finished(experiment, known):
            carry_out(experiment, out)
    records = read_records(RECORDS)
    done = [experiment for experiment in experiments() if finished(experiment, records)]
    found = rows(done, records)
    text = page(found, done, records)
    (RESULTS / "study.md").write_text(text)
    accuracy(found, RECORDS / "accuracy.svg")
    held_out_lookups(found, RECORDS / "held-out-look-ups.svg")
    training_lookups(found, RECORDS / "training-look-ups.svg")
    print(text)


if __name__ == "__main__":
    main()
