"""Classifications and ratings from the real vLLM: the micro model is first taught both, with prompts short enough for it."""

import importlib
import os
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from helpers.files import as_lines
from selftrain.api.prompts import Prompts
from selftrain.api.records import Drop, Manifest, Work
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import Generate
from selftrain.prompts import PromptName, resolve
from selftrain.storage.commit import read_manifest
from selftrain.storage.open import open_store
from selftrain.workers import evaluate, generate
from selftrain.workers.context import Context
from selftrain.workers.exits import Drain
from selftrain.workers.machine import environment, read_machine
from selftrain.workers.sampling import Sampler, load_sampler

MICRO = Path(__file__).parents[1] / "fixtures/micro"
UPDATES = 900
PROMPTS = {"classify": {"user": "{{instruction}}\nClassify this."}, "rating": {"user": "{{instruction}}\n{{answer}}\nRate this."}}
SETTINGS = {"shards": 2, "maxTokens": 48, "maxSequences": 32}
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ModuleType]]:
    """What makes the micro model; the scripts import each other by bare name."""
    names = ("phrases", "make")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(MICRO)
        phrases, make = (importlib.import_module(name) for name in names)
        yield phrases, make
        for name in names:
            sys.modules.pop(name, None)


def asked(name: PromptName, **values: str) -> list[dict[str, str]]:
    return resolve(Prompts.model_validate(PROMPTS), name).messages(values)


def classifying(rng: random.Random, phrases: ModuleType) -> tuple[list[dict[str, str]], str]:
    """What holds a question mark is a simple question, anything else is creative writing."""
    instruction = phrases.asked(rng)
    category, complexity = ("closed question answering", 2) if "?" in instruction else ("creative writing", 5)
    said = f"Category: {category}\nComplexity: {complexity}\nLength: ({rng.choice('ab')})"
    return asked("classify", instruction=instruction), said


def rating(rng: random.Random, phrases: ModuleType) -> tuple[list[dict[str, str]], str]:
    """An answer that ends with an exclamation mark is good."""
    answer, good = phrases.said(rng), rng.random() < 0.5
    messages = asked("rating", instruction=phrases.asked(rng), answer=answer.replace(".", "!") if good else answer)
    return messages, f"{phrases.fill(rng, 'It is {word}.')} [[{9 if good else 2}]]"


@pytest.fixture(scope="module")
def taught(scripts: tuple[ModuleType, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro model with two more forms."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    phrases, make = scripts
    torch.manual_seed(0)
    rng, folder = random.Random(0), tmp_path_factory.mktemp("taught")
    forms = (phrases.example, *(lambda rng, form=form: phrases.Example(*form(rng, phrases)) for form in (classifying, rating)))
    tokenizer = AutoTokenizer.from_pretrained(MICRO / "model")
    model = AutoModelForCausalLM.from_pretrained(MICRO / "model", dtype=torch.float32)
    make.train(model, make.by_length(rng, [make.encode(tokenizer, rng.choice(forms)(rng)) for _ in range(UPDATES * make.BATCH)]))
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sampler(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampler]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(read_machine(), 1, tmp_path_factory.mktemp("cache")).items():
            patch.setitem(os.environ, name, value)
        yield load_sampler(taught, Generate(max_tokens=48, max_sequences=32), [])


def carried_out(stage: Stage, taught: Path, sampler: Sampler, folder: Path, **changes: object) -> tuple[Context, Manifest]:
    spec = {
        "model": {"uri": f"file://{taught}"},
        "store": {"uri": f"file://{folder}/store"},
        "instructions": {"uri": f"file://{MICRO}/instructions.jsonl"},
        "prompts": PROMPTS,
        "generate": SETTINGS,
        **changes,
    }
    iteration, worker = (1, generate) if stage is Stage.GENERATE else (0, evaluate)
    work = Work.model_validate({"run": {"name": "taught"}, "iteration": iteration, "stage": stage, "attempt": 1, "spec": spec})
    context = Context(work, open_store(work.spec.store), folder, 0, Drain())
    worker.run(context, partial(lambda loaded, *_: loaded, sampler))
    manifest = read_manifest(context.store, context.layout, work.step)
    assert manifest is not None
    return context, manifest


def test_only_instructions_of_a_wanted_class_get_pairs(taught: Path, sampler: Sampler, tmp_path: Path) -> None:
    wanted = {"categories": ["closed-question-answering"], "maximumComplexity": 3}
    source = {"uri": f"file://{MICRO}/instructions.jsonl", "classify": wanted}
    _, manifest = carried_out(Stage.GENERATE, taught, sampler, tmp_path, instructions=source)
    rows = [row for part in manifest.parts for row in pq.read_table(tmp_path / "store" / part.key).to_pylist()]
    classed = {row["instruction"]: row["category"] for row in rows if row["category"]}
    questions = {text for text, category in classed.items() if category == "closed-question-answering"}
    assert len(classed) >= 20, "most are classified"
    taught_so = sum(("?" in text) == (text in questions) for text in classed)
    assert taught_so >= 0.75 * len(classed), taught_so
    assert 0 < len(questions) < len(classed)
    assert manifest.drops[Drop.CATEGORY] == len(classed) - len(questions)
    assert manifest.counts["instructions in closed-question-answering"] == len(questions)
    assert 0 < manifest.counts["pairs"] == manifest.counts["pairs in closed-question-answering"] <= len(questions)
    assert manifest.counts["pairs"] + sum(manifest.drops.values()) == manifest.counts["rows"] == len(rows)


def test_the_better_rating_wins(taught: Path, sampler: Sampler, tmp_path: Path) -> None:
    """Every right answer has an exclamation mark, no wrong one has."""
    wrong = ["It is 9.", "Red.", "A red lamp."]
    best = [
        {"id": str(n), "subset": "Math", "prompt": f"Add {n} and 3.", "chosen": [f"It is {n + 3}!"], "rejected": wrong}
        for n in range(10, 20)
    ]
    tied = [
        {"id": f"{kind}:1", "prompt": "Name a color.", "chosen": chosen, "rejected": ["A lamp.", "Oslo."], "subset": "Ties"}
        for kind, chosen in (("ref", ["Red!"]), ("tied", ["Red!", "Blue!"]))
    ]
    benchmark = {
        "name": "many",
        "uri": f"file://{as_lines(tmp_path / 'many.jsonl', [*best, *tied])}",
        "format": "rewardbench2",
        "mode": "rating",
    }
    _, manifest = carried_out(Stage.EVALUATE, taught, sampler, tmp_path, evaluate={**SETTINGS, "benchmarks": [benchmark]})
    (result,) = manifest.results
    assert result.overall.unparsed == 0
    assert result.parts["Math"].correct >= 8
    assert result.official is not None
    assert result.official.parts["Math"] == result.parts["Math"].correct / 10
    assert result.official.parts["Ties"] >= 0.9, "both right colors come before what is none"
