"""Classifications and ratings from the real vLLM: the micro model is first taught both, with prompts short enough for it."""

import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from helpers.files import as_lines
from helpers.fixtures import MICRO, MODEL
from helpers.scripts import imported
from helpers.steps import INSTRUCTIONS, order, rows, worked
from selftrain.api.prompts import Prompts
from selftrain.api.records import Drop
from selftrain.planning.steps import PAIRS_STEP, SEED_STEP
from selftrain.prompts import PromptName, resolve

UPDATES = 900
PROMPTS = {"classify": {"user": "{{instruction}}\nClassify this."}, "rating": {"user": "{{instruction}}\n{{answer}}\nRate this."}}
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ...]]:
    """What makes the micro model."""
    with imported(MICRO, "phrases", "make") as modules:
        yield modules


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
def taught(scripts: tuple[ModuleType, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro model with two more forms."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    phrases, make = scripts
    torch.manual_seed(0)
    rng, folder = random.Random(0), tmp_path_factory.mktemp("taught")
    forms = (phrases.example, *(lambda rng, form=form: phrases.Example(*form(rng, phrases)) for form in (classifying, rating)))
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    make.train(model, make.by_length(rng, [make.encode(tokenizer, rng.choice(forms)(rng)) for _ in range(UPDATES * make.BATCH)]))
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_only_instructions_of_a_wanted_class_get_pairs(taught: Path, tmp_path: Path) -> None:
    wanted = {"categories": ["closed-question-answering"], "maximumComplexity": 3}
    model = {"uri": f"file://{taught}"}
    work = order(tmp_path, PAIRS_STEP, model=model, prompts=PROMPTS, instructions={**INSTRUCTIONS, "classify": wanted})
    generated = worked(tmp_path, work)
    counts, drops, made = generated.counts, generated.drops, rows(work)
    classed = {row["instruction"]: row["category"] for row in made if row["category"]}
    questions = {text for text, category in classed.items() if category == "closed-question-answering"}
    assert len(classed) >= 20, "most are classified"
    taught_so = sum(("?" in text) == (text in questions) for text in classed)
    assert taught_so >= 0.75 * len(classed), taught_so
    assert 0 < len(questions) < len(classed)
    assert drops[Drop.CATEGORY] == len(classed) - len(questions)
    assert counts["instructions in closed-question-answering"] == len(questions)
    assert 0 < counts["pairs"] == counts["pairs in closed-question-answering"] <= len(questions)
    assert counts["pairs"] + sum(drops.values()) == counts["rows"] == len(made)


def test_the_better_rating_wins(taught: Path, tmp_path: Path) -> None:
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
    settings = {"shards": 2, "maxTokens": 48, "maxSequences": 32, "majorityOf": 1, "benchmarks": [benchmark]}
    work = order(tmp_path, SEED_STEP, model={"uri": f"file://{taught}"}, prompts=PROMPTS, evaluate=settings)
    (result,) = worked(tmp_path, work).results
    assert result.overall.unparsed == 0
    assert result.parts["Math"].correct >= 8
    assert result.official is not None
    assert result.official.parts["Math"] == result.parts["Math"].correct / 10
    assert result.official.parts["Ties"] >= 0.9, "both right colors come before what is none"
