"""Writes the demo's data: instructions, held-out benchmark, and the training set that warms the seed judge up.

    python data.py OUT FAMILY      instructions.jsonl, benchmark.jsonl, warmup.parquet in OUT; FAMILY is demo or unseen

The warm-up teaches four things: to answer, to write a variation, to put a mistake into an answer, and how a judgment looks. A
judgment solves the task, then restates each answer and rules on it, then gives the verdict: finding the letter in one step is
beyond a model this small. Its solution is always right, its rulings and verdict only in 13 of 20 examples. So the seed knows the
form and hardly which answer is better. With coin flips instead, judges of this size did not get off the ground.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
import unseen
import world
import yaml
from world import HELD_OUT_PEOPLE, PEOPLE, Question, Scene, Task, scenes

from selftrain.api.load import run_of
from selftrain.prompts import PromptName, Template, resolve

INSTRUCTIONS, BENCHMARK = 200, 160
ANSWERS, VARIATIONS, REWRITES, JUDGMENTS = 600, 100, 160, 480
VERDICTS_RIGHT, CYCLE = 13, 20
KINDS = ("off-topic", "near-miss")
FAMILIES = {"demo": world.TASKS, "unseen": unseen.TASKS}
SOLUTION = "Solution: "
SEEDS = {"warm-up": 1, "instructions": 2, "benchmark": 3, "labelled": 5}
MANIFEST = Path(__file__).parent / "run.yaml"
ROW = pa.schema(
    [
        ("pair_id", pa.string()),
        ("order", pa.string()),
        ("sample", pa.int32()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("completion", pa.string()),
    ]
)


Chat = tuple[list[dict[str, str]], str]
"""A prompt and what the model is to say."""


class Pair(TypedDict):
    """A row of the benchmark. The subset says how the rejected answer is wrong."""

    id: str
    instruction: str
    chosen: str
    rejected: str
    subset: str


@cache
def template(name: PromptName) -> Template:
    """The run's own prompt: the model is warmed up on exactly what it will be asked."""
    return resolve(run_of(yaml.safe_load(MANIFEST.read_text())).spec.prompts, name)


def judgment(scene: Scene, first: str, second: str, verdict: str) -> str:
    """The trace the seed is taught: solve, rule on each answer, decide."""
    rulings = ("right", "wrong") if verdict == "A" else ("wrong", "right")
    return f"{SOLUTION}{scene.answer}\nA: {first} {rulings[0]}\nB: {second} {rulings[1]}\n[[{verdict}]]"


def solution(judgment: str) -> str | None:
    """The solution a judgment begins with, None where it has none."""
    line = judgment.split("\n", 1)[0]
    return line.removeprefix(SOLUTION) if line.startswith(SOLUTION) else None


def benchmark(tasks: Sequence[Task], count: int = BENCHMARK) -> list[Pair]:
    """Held-out pairs."""
    return _pairs(tasks, SEEDS["benchmark"], count, HELD_OUT_PEOPLE)


def labelled(tasks: Sequence[Task], count: int) -> list[Pair]:
    """Pairs such as people would label: about the people of the training data, with labels that are true."""
    return _pairs(tasks, SEEDS["labelled"], count, PEOPLE)


def _pairs(tasks: Sequence[Task], seed: int, count: int, people: list[str]) -> list[Pair]:
    """Each task has both kinds of wrong answers equally often."""
    rng = random.Random(seed)
    rows = []
    for i, scene in enumerate(scenes(tasks, seed, count, people)):
        kind = KINDS[i // len(tasks) % 2]
        rows.append(
            Pair(
                id=f"{scene.task}-{i:03d}",
                instruction=scene.instruction,
                chosen=scene.answer,
                rejected=scene.wrong(rng, kind),
                subset=kind,
            )
        )
    return rows


def instructions(tasks: Sequence[Task], count: int = INSTRUCTIONS) -> list[Scene]:
    """What is asked in a run; more of them begin with the same ones."""
    return scenes(tasks, SEEDS["instructions"], count, PEOPLE)


def warm_up(tasks: Sequence[Task]) -> Iterator[dict[str, object]]:
    """Rows of the training set, in the format of selftrain's train stage."""
    rng = random.Random(SEEDS["warm-up"])
    for i, scene in enumerate(scenes(tasks, SEEDS["warm-up"], ANSWERS + VARIATIONS + REWRITES + JUDGMENTS, PEOPLE)):
        if i < ANSWERS:
            row = _answering(scene)
        elif i < ANSWERS + VARIATIONS:
            row = _varying(scene, scene.other(rng))
        elif i < ANSWERS + VARIATIONS + REWRITES:
            row = _erring(scene, scene.wrong(rng, "near-miss"))
        else:
            row = _judging(scene, KINDS[i // len(tasks) % 2], i // (2 * len(tasks)), rng)
        yield {"pair_id": f"warmup-{i:04d}", "order": "AB", "sample": 0, "messages": row[0], "completion": row[1]}


def _answering(scene: Scene) -> Chat:
    return template("answer").messages({"instruction": scene.instruction}), scene.answer


def _varying(scene: Scene, other: Question) -> Chat:
    messages = template("variation").messages({"instruction": scene.instruction, "answer": scene.answer})
    return messages, f"<instruction>{other.text}</instruction>\n<answer>{other.answer}</answer>"


def _erring(scene: Scene, wrong: str) -> Chat:
    messages = template("rewrite").messages({"instruction": scene.instruction, "answer": scene.answer})
    return messages, f"<answer>{wrong}</answer>"


def _judging(scene: Scene, kind: str, turn: int, rng: random.Random) -> Chat:
    """Sides take turns, and wrong verdicts come at fixed places within each side.

    Drawn by chance, so few examples would teach the seed to prefer a side, another one for every task (one seed said A in
    5 to 100 %), and balancing would then keep next to nothing.
    """
    gold, place = "AB"[turn % 2], turn // 2
    wrong = scene.wrong(rng, kind)
    verdict = gold if place * VERDICTS_RIGHT % CYCLE < VERDICTS_RIGHT else "AB".replace(gold, "")
    first, second = (scene.answer, wrong) if gold == "A" else (wrong, scene.answer)
    values = {"instruction": scene.instruction, "answer_a": first, "answer_b": second}
    return template("judge").messages(values), judgment(scene, first, second, verdict)


def main() -> None:
    out, tasks = Path(sys.argv[1]), FAMILIES[sys.argv[2]]
    out.mkdir(parents=True, exist_ok=True)
    asked = [{"instruction": scene.instruction} for scene in instructions(tasks)]
    for name, rows in (("instructions", asked), ("benchmark", benchmark(tasks))):
        (out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(list(warm_up(tasks)), schema=ROW), out / "warmup.parquet", compression="zstd")


if __name__ == "__main__":
    main()
