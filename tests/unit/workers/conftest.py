"""A run in a folder, and an engine that is a function of prompt and seed."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from helpers.fixtures import MICRO, MODEL
from selftrain.api.records import Work
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import SamplingStage
from selftrain.prompts import Template
from selftrain.storage.open import open_store
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

    def sample(self, batches: Iterable[Sequence[Request]]) -> Iterator[list[list[Completion]]]:
        held: list[Sequence[Request]] = []
        for batch in batches:
            held.append(batch)
            if len(held) > 1:
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


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write_instructions([f"Do thing {number}." for number in range(10)])
    return made
