"""What the study's runs read: the demo's seed and benchmark, more instructions than the demo has, and labelled pairs."""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from trial.demo import EXAMPLE, world

INSTRUCTIONS = 600
"""The demo has the first 200 of these."""
LABELLED = 600
"""Pairs with true labels, for runs that learn from such."""
SOLVED = {"demo": 0.9}
"""Share of each task that a seed has to solve in its judgments. Recipes were tuned on this family; another one is taken as it is."""
VOTED = 80
"""Held-out pairs, the first ones, that are judged by votes of 32: with all of them a run would take more than an hour."""


@cache
def module(name: str) -> ModuleType:
    """A script of the demo. They import each other by bare name."""
    if str(EXAMPLE) not in sys.path:
        sys.path.insert(0, str(EXAMPLE))
    return importlib.import_module(name)


def prepare(family: str, out: Path) -> Path:
    """Folder with everything a run on a family of tasks reads."""
    made, folder = world(family), out / "worlds" / family
    if family in SOLVED:
        require_skill(json.loads((made / "skills.json").read_text()), SOLVED[family])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("seed", "benchmark.jsonl"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(made / name)
    data = module("data")
    tasks = data.FAMILIES[family]
    write(folder / "instructions.jsonl", ({"instruction": scene.instruction} for scene in data.instructions(tasks, INSTRUCTIONS)))
    write(folder / "labelled.jsonl", data.labelled(tasks, LABELLED))
    write(folder / "voted.jsonl", held_out_pairs(family)[:VOTED])
    return folder


def require_skill(skills: Mapping[str, Mapping[str, Mapping[str, float]]], share: float) -> None:
    """Refuse a seed that solves too little: what its judges miss would be its own doing. It depends on the processor."""
    weak = {task: found["share"] for task, found in skills["looking-up"].items() if found["share"] < share}
    if weak:
        sys.exit(f"study: the seed solves too few of its tasks {weak}: train another one (examples/smollm2/README.md, The seed)")


def write(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@cache
def truths(family: str) -> dict[str, str]:
    """The true answer to every instruction of the runs, labelled ones included."""
    data = module("data")
    tasks = data.FAMILIES[family]
    asked = {scene.instruction: scene.answer for scene in data.instructions(tasks, INSTRUCTIONS)}
    return asked | {pair["instruction"]: pair["chosen"] for pair in data.labelled(tasks, LABELLED)}


@cache
def held_out_pairs(family: str) -> list[dict[str, str]]:
    """The held-out pairs."""
    data = module("data")
    return [*data.benchmark(data.FAMILIES[family])]


@cache
def fingerprint(family: str) -> str:
    """Digest of all texts of a world: what its seed was warmed up on, what is asked and what is held out.

    Weights have none here: trained on another machine, they differ in their last bits.
    """
    data = module("data")
    tasks = data.FAMILIES[family]
    texts = [list(data.warm_up(tasks)), sorted(truths(family)), held_out_pairs(family)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
