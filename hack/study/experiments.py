"""What is run: the demo's manifest with some fields changed, for every seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from trial.cluster import ROOT
from trial.demo import EXAMPLE, with_inputs

STUDY = ROOT / "examples" / "ablations" / "study.yaml"


@dataclass(frozen=True)
class Experiment:
    """One run of the study."""

    name: str
    seed: int
    spec: dict[str, Any]
    """The fields that differ from the demo's."""

    @property
    def run(self) -> str:
        """Name of its run."""
        return f"{self.name}-{self.seed}"

    def manifest(self, world: Path) -> dict[str, Any]:
        """The whole manifest, with its inputs in a folder."""
        body = with_inputs(yaml.safe_load((EXAMPLE / "run.yaml").read_text()), world.as_uri())
        spec = merged(body["spec"], {**self.spec, "seed": self.seed})
        return {**body, "metadata": {"name": self.run}, "spec": spec}


def experiments(path: Path = STUDY) -> Iterator[Experiment]:
    """All runs, in the order of the file, the first seed of each experiment first."""
    named: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["experiments"]
    rounds = max(len(entry["seeds"]) for entry in named.values())
    for number in range(rounds):
        for name, entry in named.items():
            if number < len(entry["seeds"]):
                yield Experiment(name, entry["seeds"][number], entry["spec"])


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `change`; maps are merged, all else is replaced."""
    out = dict(base)
    for key, value in change.items():
        both_maps = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both_maps else value
    return out
