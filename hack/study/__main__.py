"""Run what is not finished yet, then write the table: python -m study OUT [NAME...].

Stop it whenever you like; it goes on after the last committed shard.
"""

import json
import sys
from pathlib import Path

import yaml
from trial.demo import world

from selftrain.api.names import Layout
from selftrain.api.stages import Stage, Step
from selftrain.local.command import local, read_run
from selftrain.report.summary import hits
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store
from study.experiments import Experiment, experiments
from study.results import Hits, Row, table


def carry_out(experiment: Experiment, place: Path, out: Path) -> None:
    """One run to its end, unless it has a summary already."""
    summary, manifest = summary_of(experiment, out), manifest_of(experiment, out)
    if summary.exists():
        return
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(yaml.safe_dump(experiment.manifest(place), sort_keys=False))
    print(f"== {experiment.run}", flush=True)
    if local(manifest, f"file://{out}/store", out / "work", summary):
        summary.unlink()
        sys.exit(f"study: {experiment.run} stopped; correct it and start again")


def manifest_of(experiment: Experiment, out: Path) -> Path:
    """Where a run's manifest lies."""
    return out / "manifests" / f"{experiment.run}.yaml"


def summary_of(experiment: Experiment, out: Path) -> Path:
    """Where a finished run's summary lies."""
    return out / "summaries" / f"{experiment.run}.json"


def rows(finished: list[Experiment], out: Path) -> list[Row]:
    """All judges by experiment and iteration; the seed once."""
    found: list[Row] = []
    for name in dict.fromkeys(experiment.name for experiment in finished):
        own = [experiment for experiment in finished if experiment.name == name]
        summaries = {e.seed: json.loads(summary_of(e, out).read_text()) for e in own}
        for iteration in range(min(len(summary["iterations"]) for summary in summaries.values())):
            if iteration == 0 and found:
                continue
            entries = [summary["iterations"][iteration] for summary in summaries.values()]
            right: Hits = {}
            for experiment in own:
                right |= judged(experiment, iteration, out)
            found.append(Row(name if iteration else "seed judge", iteration, entries, right))
    return found


def judged(experiment: Experiment, iteration: int, out: Path) -> Hits:
    """Which judgments of held-out pairs were right."""
    run = read_run(manifest_of(experiment, out), f"file://{out}/store")
    store = open_store(run.spec.store)
    layout = Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)
    manifest = read_manifest(store, layout, Step(iteration, Stage.EVALUATE))
    return {(str(experiment.seed), *key): right for key, right in hits(store, manifest).items()} if manifest else {}


def main() -> None:
    out, only, place = Path(sys.argv[1]).resolve(), sys.argv[2:], world()
    for experiment in experiments():
        if not only or experiment.name in only:
            carry_out(experiment, place, out)
    finished = [experiment for experiment in experiments() if summary_of(experiment, out).exists()]
    found = rows(finished, out)
    paper = [row for row in found if row.name == "paper"]
    text = table(found, paper[-1].hits if paper else {})
    (out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
