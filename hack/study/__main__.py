"""Run what is not finished yet, then write the results: python -m study OUT [NAME...].

OUT holds the runs and may be thrown away. What is known of a finished run is a file in docs/results/study: such a run is not carried out
again unless its manifest has changed. Stop it whenever you like; it goes on after the last committed shard.
"""

import json
import sys
from pathlib import Path

import yaml
from trial.cluster import ROOT

from selftrain.local.command import local, read_run
from selftrain.storage.open import open_store
from study.experiments import Experiment, experiments
from study.record import read_records, record_of, relabelled
from study.results import page
from study.worlds import prepare, truths, write

RESULTS = ROOT / "docs" / "results"
RECORDS = RESULTS / "study"


def carry_out(experiment: Experiment, out: Path) -> None:
    """One run to its end, and its record."""
    place = prepare(experiment.family, out)
    if experiment.source:
        relabel(experiment, out, place / f"{experiment.source}.jsonl")
    manifest, summary = manifest_of(experiment.run, out), out / "summaries" / f"{experiment.run}.json"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(yaml.safe_dump(experiment.manifest(place.as_uri()), sort_keys=False))
    print(f"== {experiment.run}", flush=True)
    if local(manifest, f"file://{out}/store", out / "work", summary):
        sys.exit(f"study: {experiment.run} stopped; correct it and start again")
    run = read_run(manifest, f"file://{out}/store")
    record = record_of(experiment, run, open_store(run.spec.store), json.loads(summary.read_text()))
    RECORDS.mkdir(parents=True, exist_ok=True)
    (RECORDS / f"{experiment.run}.json").write_text(json.dumps(record, indent=1) + "\n")


def relabel(experiment: Experiment, out: Path, path: Path) -> None:
    """Write the pairs of another run with their labels put right."""
    source = read_run(manifest_of(experiment.source, out), f"file://{out}/store")
    write(path, relabelled(source, open_store(source.spec.store), truths(experiment.family)))


def manifest_of(run: str, out: Path) -> Path:
    """Where a run's manifest lies."""
    return out / "manifests" / f"{run}.yaml"


def main() -> None:
    out, only = Path(sys.argv[1]).resolve(), sys.argv[2:]
    for experiment in experiments():
        known = read_records(RECORDS).get(experiment.run, {})
        if (not only or experiment.name in only) and known.get("manifest") != experiment.manifest():
            carry_out(experiment, out)
    records = read_records(RECORDS)
    done = [experiment for experiment in experiments() if records.get(experiment.run, {}).get("manifest") == experiment.manifest()]
    text = page(done, records)
    (RESULTS / "study.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
