"""A run in a folder, an engine that is a function of prompt and seed, and the stages that tests of later ones need."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from helpers.files import as_lines
from helpers.fixtures import MICRO, MODEL
from selftrain.api.records import Manifest, Part, Work
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import SamplingStage
from selftrain.prompts import Template
from selftrain.storage.commit import commit, read_manifest
from selftrain.storage.open import open_store
from selftrain.workers import generate, judge, select
from selftrain.workers.context import Context
from selftrain.workers.embedding import Embedder
from selftrain.workers.engine import Completion, Request
from selftrain.workers.exits import Drain
from selftrain.workers.sampling import Sampler

Say = Callable[[str, int], str | Completion]


@dataclass
class SayingEngine:
    """Says what `say` makes of a prompt's text and a sample's seed. Two batches are always under way."""

    say: Say
    limit: int = 100_000
    asked: list[str] = field(default_factory=list)
    """Prompts in the order in which they were asked."""

    def sample(self, batches: Iterable[Sequence[Request] | None]) -> Iterator[list[list[Completion]]]:
        held: list[Sequence[Request]] = []
        for batch in batches:
            if batch is not None:
                held.append(batch)
            if len(held) > 1 or batch is None:
                yield self._answer(held.pop(0))
        yield from map(self._answer, held)

    def _answer(self, batch: Sequence[Request]) -> list[list[Completion]]:
        return [self._samples(request) for request in batch]

    def _samples(self, request: Request) -> list[Completion]:
        text = bytes(request.prompt).decode()
        self.asked.append(text)
        said = (self.say(text, request.seed + number) for number in range(request.sampling.samples))
        return [one if isinstance(one, Completion) else Completion(one, "stop", len(one.split())) for one in said]


def by_marker(text: str, seed: int) -> str:
    """Answers in the three forms, like the micro model."""
    if "[[A]]" in text:
        return f"I saw both. [[{'AB'[seed % 2]}]]"
    if "<instruction>" in text:
        return f"<instruction>Another {seed}</instruction><answer>Off {seed}</answer>"
    return f"Fine {seed}."


@dataclass
class Bench:
    """A run in a folder."""

    folder: Path
    engine: SayingEngine = field(default_factory=lambda: SayingEngine(by_marker))
    loads: list[Path] = field(default_factory=list)
    """Models that were loaded."""

    def context(self, stage: Stage, iteration: int = 1, index: int = 0, **spec: Any) -> Context:
        """A worker of one stage. `spec` replaces parts of the run's."""
        body = {
            "model": {"uri": f"file://{MODEL}"},
            "store": {"uri": f"file://{self.folder}/store"},
            "instructions": {"uri": f"file://{self.folder}/instructions.jsonl"},
            "generate": {"shards": 3, "maxTokens": 64},
            "judge": {"shards": 3, "samples": 4, "maxTokens": 64},
            "evaluate": {
                "shards": 3,
                "maxTokens": 64,
                "majorityOf": 1,
                "benchmarks": [
                    {"name": "held-out", "uri": f"file://{MICRO}/benchmark.jsonl"},
                    {"name": "voted", "uri": f"file://{MICRO}/benchmark.jsonl", "votes": 3},
                ],
            },
        }
        work = {"run": {"name": "run"}, "iteration": iteration, "stage": stage, "attempt": 1, "spec": {**body, **spec}}
        parsed = Work.model_validate(work)
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return Context(parsed, open_store(parsed.spec.store), scratch, index, Drain())

    def load(self, folder: Path, _settings: SamplingStage, _templates: Sequence[Template]) -> Sampler:
        """Stands in for `load_sampler`: token ids are the bytes of the contents."""
        self.loads.append(folder)
        return Sampler(self.engine, lambda messages: list("\n".join(turn["content"] for turn in messages).encode()))

    def embedder(self) -> Embedder:
        """Stands in for `load_embedder`: a fine answer to do something is near to that, another one is not."""
        return lambda texts: [[float(text.startswith(("Do", "Fine"))), float(text.startswith("Off"))] for text in texts]

    def write_instructions(self, texts: Sequence[str]) -> None:
        lines = [json.dumps({"instruction": text}) for text in texts]
        (self.folder / "instructions.jsonl").write_text("\n".join(lines))


def manifest(context: Context) -> Manifest:
    found = read_manifest(context.store, context.layout, context.work.step)
    assert found is not None
    return found


def rows(context: Context, parts: list[Part] | None = None) -> list[dict[str, Any]]:
    root = context.work.spec.store.uri.removeprefix("file://")
    return [row for part in parts or manifest(context).parts for row in pq.read_table(f"{root}/{part.key}").to_pylist()]


def committed(context: Context) -> list[str]:
    """Keys of the markers of a step's shards, whatever work they belong to."""
    return [info.key for info in context.store.list(context.layout.shards(context.work.step)) if info.key.endswith(".json")]


def marker(context: Context, shard: int) -> str:
    """Key of a shard's marker."""
    return next(key for key in committed(context) if key.endswith(f"/{shard:05d}.json"))


def bytes_of(context: Context) -> list[str]:
    return [part.sha256 for part in manifest(context).parts]


def make_pairs(bench: Bench, **spec: Any) -> Context:
    context = bench.context(Stage.GENERATE, **spec)
    generate.run(context, bench.load, bench.embedder)
    return context


def make_judgments(bench: Bench, **spec: Any) -> Context:
    make_pairs(bench, **spec)
    context = bench.context(Stage.JUDGE, **spec)
    judge.run(context, bench.load)
    return context


def trained(bench: Bench, last: int = 1, **spec: Any) -> None:
    """Iterations up to the last one's judge. No fake engine reads the files of judges."""
    make_pairs(bench, **spec)
    for number in range(1, last + 1):
        judge.run(bench.context(Stage.JUDGE, number, **spec), bench.load)
        select.run(bench.context(Stage.SELECT, number, **spec))
        context = bench.context(Stage.TRAIN, number, **spec)
        prefix = context.layout.checkpoint(number, "0" * 64)
        done = Manifest(run="run", iteration=number, stage=Stage.TRAIN, attempt=1, work="0" * 64, inputs={}, parts=[], checkpoint=prefix)
        commit(context.store, context.layout, done)


LABELLED = [{"id": n, "instruction": f"Task {n}.", "chosen": f"right {n}", "rejected": f"wrong {n}"} for n in range(5)]


def write_labelled(bench: Bench, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = as_lines(bench.folder / "labelled.jsonl", rows)
    return {"labelled": {"uri": f"file://{path}", "limit": 4}}


def held_out(bench: Bench, validation: int = 3) -> dict[str, Any]:
    return {"instructions": {"uri": f"file://{bench.folder}/instructions.jsonl", "validation": validation}}


def classifying(bench: Bench, **wanted: Any) -> dict[str, Any]:
    """A run that classifies, with an engine that does: instruction n is maths if even, of complexity n; 7 and 8 have no class."""
    say = bench.engine.say

    def answer(text: str, seed: int) -> str | Completion:
        if "Category:" not in text:
            return say(text, seed)
        number = int(text.split("Do thing ")[1].split(".", maxsplit=1)[0])
        if number == 7:
            return "Maths."
        category = "mathematical reasoning" if number % 2 == 0 else "coding"
        return Completion(f"Category: {category}\nComplexity: {number}\nLength: (b)", "length" if number == 8 else "stop", 9)

    bench.engine.say = answer
    bench.write_instructions([f"Do thing {number}." for number in range(1, 11)])
    return {"instructions": {"uri": f"file://{bench.folder}/instructions.jsonl", "classify": wanted}}


def by_seed(text: str, seed: int) -> str:
    """Answers to one instruction: five of eight say 4, the others something else. Variations like those of `by_marker`."""
    if "<instruction>" in text:
        return f"<instruction>Another {seed}</instruction><answer>Off {seed}</answer>"
    return "4" if seed % 8 < 5 else f"{seed % 8}"
