"""What the first stage checks, and that inputs may not change afterwards."""

import json
import shutil
from typing import Any

import pytest

from helpers.bench import Bench
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Frozen
from selftrain.api.stages import Stage
from selftrain.workers import generate, preflight

PLAIN = "{{instruction}} {{answer_a}} {{answer_b}}"


def test_a_good_run_is_frozen(bench: Bench) -> None:
    context = bench.context(Stage.EVALUATE, iteration=0)
    preflight.run(context)
    frozen = Frozen.model_validate_json(context.store.read(context.layout.run))
    assert frozen.spec == context.work.spec
    assert frozen.inputs.keys() == {
        "instructions", "model", "benchmark/held-out", "benchmark/voted", "prompt/answer", "prompt/variation", "prompt/judge",
    }  # fmt: skip
    preflight.run(context)
    assert [info.key for info in context.store.list("")] == [context.layout.run]


def test_the_prompt_of_each_kind_of_rewriting_is_frozen(bench: Bench) -> None:
    context = bench.context(
        Stage.EVALUATE, iteration=0, generate={"maxTokens": 64, "negatives": [{"kind": "error"}, {"kind": "constraint"}]}
    )
    preflight.run(context)
    frozen = Frozen.model_validate_json(context.store.read(context.layout.run)).inputs
    assert frozen["prompt/error"] != frozen["prompt/constraint"]
    assert "prompt/final-answer" not in frozen


def test_an_input_that_changes_is_refused(bench: Bench) -> None:
    preflight.run(bench.context(Stage.EVALUATE, iteration=0))
    bench.write_instructions(["Something else."])
    for attempt in (preflight.run, lambda context: generate.run(context, bench.load, bench.embedder)):
        with pytest.raises(UserError, match="instructions of this run is not what it was"):
            attempt(bench.context(Stage.GENERATE))


@pytest.mark.parametrize(
    ("spec", "reason", "word"),
    [
        ({"model": {"uri": "file:///nowhere/model"}}, Reason.MODEL_NOT_FOUND, "/nowhere/model"),
        ({"instructions": {"uri": "file:///nowhere/x.jsonl"}}, Reason.INSTRUCTIONS_NOT_FOUND, "/nowhere/x.jsonl"),
        ({"evaluate": {"benchmarks": [{"name": "x", "uri": "file:///nowhere/b"}]}}, Reason.BENCHMARK_NOT_FOUND, "/nowhere/b"),
        ({"prompts": {"judge": {"user": "Judge!"}}}, Reason.PROMPT_INVALID, "{{answer_a}}"),
        ({"prompts": {"plan": {"user": "{{answer_a}}{{answer_b}}"}}}, Reason.PROMPT_INVALID, "{{instruction}}"),
        (
            {"generate": {"negatives": [{"kind": "error"}]}, "prompts": {"rewrite": {"user": "{{answer}}"}}},
            Reason.PROMPT_INVALID,
            "{{instruction}}",
        ),
        ({"generator": {"uri": "file:///nowhere/generator"}}, Reason.MODEL_NOT_FOUND, "spec.generator.uri"),
        (
            {"weaker": {"uri": "file:///nowhere/weaker"}, "generate": {"maxTokens": 64, "negatives": [{"kind": "weaker"}]}},
            Reason.MODEL_NOT_FOUND,
            "spec.weaker.uri",
        ),
        ({"judge": {"maxModelLength": 65536}}, Reason.MODEL_UNUSABLE, "65536"),
        ({"judge": {"maxTokens": 4096}}, Reason.MODEL_UNUSABLE, "2048"),
        ({"generate": {"maxTokens": 4096}}, Reason.MODEL_UNUSABLE, "4096"),
        ({"prompts": {"plan": {"user": f"{'Plan. ' * 2000}{PLAIN}"}}}, Reason.MODEL_UNUSABLE, "judge.maxTokens"),
        ({"train": {"sequenceLength": 64}}, Reason.SEQUENCE_TOO_LONG, "train.sequenceLength is 64"),
        ({"train": {"lora": {"targetModules": ["query"]}}}, Reason.TARGET_NOT_FOUND, "q_proj"),
    ],
)
def test_wrong_inputs_are_named(bench: Bench, spec: dict[str, Any], reason: Reason, word: str) -> None:
    with pytest.raises(UserError) as error:
        preflight.run(bench.context(Stage.EVALUATE, iteration=0, **spec))
    assert error.value.reason is reason
    assert word in str(error.value)


def test_the_prompt_that_judgments_are_sampled_with_is_frozen_too(bench: Bench) -> None:
    context = bench.context(Stage.EVALUATE, iteration=0, prompts={"plan": {"user": PLAIN}})
    preflight.run(context)
    assert {"prompt/plan", "prompt/judge"} <= Frozen.model_validate_json(context.store.read(context.layout.run)).inputs.keys()


def test_a_seed_without_a_chat_template(bench: Bench) -> None:
    context = bench.context(Stage.EVALUATE, iteration=0)
    model = bench.folder / "model"
    shutil.copytree(context.work.spec.model.uri.removeprefix("file://"), model)
    (model / "chat_template.jinja").unlink()
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError) as error:
        preflight.run(bench.context(Stage.EVALUATE, iteration=0, model={"uri": f"file://{model}"}))
    assert error.value.reason is Reason.MODEL_UNUSABLE


def test_a_weaker_model_without_room_for_an_answer(bench: Bench) -> None:
    """Its context is its own: the generator's has room."""
    model = bench.folder / "weaker"
    shutil.copytree(bench.context(Stage.GENERATE).work.spec.model.uri.removeprefix("file://"), model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    spec = {"weaker": {"uri": f"file://{model}"}, "generate": {"maxTokens": 64, "negatives": [{"kind": "weaker"}]}}
    with pytest.raises(UserError, match=r"context of 64 tokens leaves no room for generate\.maxTokens"):
        preflight.run(bench.context(Stage.EVALUATE, iteration=0, **spec))
