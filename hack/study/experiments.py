"""What is run: the demo's manifest with some fields changed, for every seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from trial.cluster import ROOT
from trial.demo import EXAMPLE, INPUTS, with_inputs

STUDY = ROOT / "examples" / "ablations" / "study.yaml"


@dataclass(frozen=True)
class Experiment:
    """One run of the study."""

    name: str
    seed: int
    spec: dict[str, Any]
    """The fields that differ from the demo's; those without a value are taken away."""
    family: str
    """Of tasks; its world holds the inputs."""
    relabelled: str | None
    """The experiment whose pairs are its labelled pairs, with their labels put right."""

    @property
    def run(self) -> str:
        """Name of its run."""
        return f"{self.name}-{self.seed}"

    @property
    def source(self) -> str | None:
        """The run that must end before this one."""
        return f"{self.relabelled}-{self.seed}" if self.relabelled else None

    def manifest(self, inputs: str = INPUTS) -> dict[str, Any]:
        """The whole manifest, with its inputs at a place."""
        body = yaml.safe_load((EXAMPLE / "run.yaml").read_text())
        change = {**self.spec, "seed": self.seed}
        if self.source:
            change |= {"instructions": None, "labelled": {"uri": f"{INPUTS}/{self.source}.jsonl"}}
        spec = given(merged(body["spec"], change))
        return with_inputs({**body, "metadata": {"name": self.run}, "spec": spec}, inputs)


def experiments(path: Path = STUDY) -> Iterator[Experiment]:
    """All runs, in the order of the file, the first seed of each experiment first."""
    study: dict[str, Any] = yaml.safe_load(path.read_text())
    named: dict[str, dict[str, Any]] = study["experiments"]
    rounds = max(len(entry["seeds"]) for entry in named.values())
    for number in range(rounds):
        for name, entry in named.items():
            if number < len(entry["seeds"]):
                alike = named[entry["like"]]["spec"] if "like" in entry else {}
                spec = merged(merged(study["all"], alike), entry["spec"])
                yield Experiment(name, entry["seeds"][number], spec, entry.get("family", "demo"), entry.get("relabelled"))


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `change`: maps are merged, all else is replaced."""
    out = dict(base)
    for key, value in change.items():
        both_maps = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both_maps else value
    return out


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    some = {key: value for key, value in fields.items() if value is not None}
    return {key: given(value) if isinstance(value, Mapping) else value for key, value in some.items()}
