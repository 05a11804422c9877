"""Measures what a model of the demo can do, skill by skill: a judge's accuracy alone does not say why it is right or wrong.

    python skills.py MODEL OUT.json FAMILY     greedy, about people it was not trained on; selftrain must be importable

answering     answers that are the true one, by task
looking-up    judgments whose solution is the true answer, whatever their verdict, by task
variation     well-formed variations; of those, how many ask something else, and whose answer is true
error         well-formed rewritten answers; of those, how many are wrong
verdict       judgments with the right verdict, by kind of wrong answer
position      judgments with the verdict A, and with none
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from os import environ
from pathlib import Path
from typing import NamedTuple, TypeVar

from data import FAMILIES, benchmark, solution, template
from world import HELD_OUT_PEOPLE, Scene, Task, scenes

from selftrain.api.records import Drop, Order
from selftrain.api.v1alpha1 import SamplingStage
from selftrain.method.pairs import shown
from selftrain.method.rewriting import parse_rewritten
from selftrain.method.variation import Variation, parse_variation
from selftrain.method.verdict import parse_verdict
from selftrain.prompts import PromptName
from selftrain.workers.machine import environment, read_machine

SEED, SCENES, LONGEST = 4, 100, 96
Values = dict[str, str]
Share = dict[str, float]
T = TypeVar("T")


class Judged(NamedTuple):
    """One judgment of a held-out pair."""

    task: str
    subset: str
    chosen: str
    order: Order
    text: str

    @property
    def right(self) -> bool:
        return parse_verdict(self.text) == self.order.gold


class Asker:
    """A loaded model."""

    def __init__(self, model: Path) -> None:
        environ.update(environment(read_machine(), 1, Path(environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "selftrain"))
        from selftrain.workers.sampling import load_sampler  # noqa: PLC0415 - the engine reads the environment when imported

        names: tuple[PromptName, ...] = ("answer", "variation", "rewrite", "judge")
        settings = SamplingStage(max_tokens=LONGEST, max_model_length=512)
        self.sampler = load_sampler(model, settings, [template(name) for name in names])

    def ask(self, name: PromptName, asked: Sequence[Values]) -> list[str]:
        from selftrain.workers.engine import Sampling  # noqa: PLC0415 - as above

        greedy = Sampling(samples=1, temperature=0, top_p=1, max_tokens=LONGEST)
        requests = [self.sampler.request(template(name), values, SEED, greedy) for values in asked]
        [(_, done)] = self.sampler.sample([(name, requests)])
        return [samples[0].text.strip() if samples else "" for samples in done.completions]


def share(found: Iterable[bool]) -> Share:
    counted = list(found)
    return {"right": sum(counted), "of": len(counted), "share": round(sum(counted) / max(1, len(counted)), 3)}


def by(groups: Sequence[str], found: Sequence[bool]) -> dict[str, Share]:
    return {group: share(f for g, f in zip(groups, found, strict=True) if g == group) for group in sorted(set(groups))}


def answering(model: Asker, drawn: list[Scene]) -> dict[str, Share]:
    texts = model.ask("answer", [{"instruction": scene.instruction} for scene in drawn])
    return by([scene.task for scene in drawn], [text == scene.answer for text, scene in zip(texts, drawn, strict=True)])


def changed(model: Asker, name: PromptName, drawn: list[Scene], read: Callable[[str], T]) -> list[tuple[Scene, T]]:
    """What the model makes of instructions and their true answers."""
    texts = model.ask(name, [{"instruction": scene.instruction, "answer": scene.answer} for scene in drawn])
    return [(scene, read(text)) for scene, text in zip(drawn, texts, strict=True)]


def variation(model: Asker, drawn: list[Scene]) -> dict[str, Share]:
    found = changed(model, "variation", drawn, parse_variation)
    formed = [(scene, one) for scene, one in found if isinstance(one, Variation)]
    return {
        "well-formed": share(isinstance(one, Variation) for _, one in found),
        "another question": share(one.instruction != scene.asked.text for scene, one in formed),
        "true answer": share(scene.truth(one.instruction) == one.answer for scene, one in formed),
    }


def error(model: Asker, drawn: list[Scene]) -> dict[str, Share]:
    found = changed(model, "rewrite", drawn, parse_rewritten)
    formed = [(scene, one) for scene, one in found if not isinstance(one, Drop)]
    return {
        "well-formed": share(not isinstance(one, Drop) for _, one in found),
        "wrong": share(one != scene.answer for scene, one in formed),
    }


def judgments(model: Asker, tasks: Sequence[Task]) -> list[Judged]:
    asked = [(pair, order) for pair in benchmark(tasks) for order in Order]
    texts = model.ask("judge", [shown(pair["instruction"], pair["chosen"], pair["rejected"], order) for pair, order in asked])
    return [
        Judged(pair["id"].split("-")[0], pair["subset"], pair["chosen"], order, text)
        for (pair, order), text in zip(asked, texts, strict=True)
    ]


def measure(model: Asker, tasks: Sequence[Task]) -> dict[str, dict[str, Share]]:
    drawn, judged = scenes(tasks, SEED, SCENES, HELD_OUT_PEOPLE), judgments(model, tasks)
    verdicts = [parse_verdict(row.text) for row in judged]
    return {
        "answering": answering(model, drawn),
        "looking-up": by([row.task for row in judged], [solution(row.text) == row.chosen for row in judged]),
        "variation": variation(model, drawn),
        "error": error(model, drawn),
        "verdict": by([row.subset for row in judged], [row.right for row in judged]),
        "position": {"A": share(v == "A" for v in verdicts), "none": share(v is None for v in verdicts)},
    }


if __name__ == "__main__":
    model, out, family = sys.argv[1:]
    Path(out).write_text(json.dumps(measure(Asker(Path(model)), FAMILIES[family]), indent=1) + "\n")
