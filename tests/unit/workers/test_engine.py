"""The seam around vLLM, without vLLM: arguments, errors by who must act, and the feeding of batches."""

import json
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.fixtures import MODEL
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.api.v1alpha1 import Generate
from selftrain.prompts import Template
from selftrain.workers import engine
from selftrain.workers.chat import load_tokenizer
from selftrain.workers.engine import Request, Sampling, VllmEngine, engine_arguments
from selftrain.workers.machine import GIB, Machine
from selftrain.workers.models import ModelFacts, read_facts
from selftrain.workers.sampling import check_room

CPU = Machine(cpus=(0, 1), quota=None, memory=16 * GIB, bfloat16=True, accelerator=False)
GPU = Machine(cpus=(0, 1), quota=None, memory=16 * GIB, bfloat16=True, accelerator=True)
FACTS = ModelFacts(context=2048, stretches=False, weight_bytes=GIB, kv_bytes_per_token=1024, architectures=("LlamaForCausalLM",))


def test_arguments_on_a_gpu() -> None:
    settings = Generate(tensor_parallel_size=4, pipeline_parallel_size=2, max_model_length=8192, max_sequences=64, quantization="fp8")
    arguments = engine_arguments(FACTS, settings, GPU)
    assert arguments["tensor_parallel_size"] == 4
    assert arguments["pipeline_parallel_size"] == 2
    assert arguments["max_model_len"] == 8192
    assert arguments["max_num_seqs"] == 64
    assert arguments["quantization"] == "fp8"
    assert arguments["trust_remote_code"] is False
    assert not {"enforce_eager", "kv_cache_memory_bytes", "dtype", "block_size"} & arguments.keys()


def test_arguments_on_a_cpu() -> None:
    arguments = engine_arguments(FACTS, Generate(max_sequences=64), CPU)
    assert arguments["enable_chunked_prefill"] is False
    assert arguments["kv_cache_memory_bytes"] == max(GIB // 4, 1024 * 2048 * 64)
    assert arguments["dtype"] == "auto"
    assert arguments["block_size"] == 32


def test_own_arguments_win_and_are_read_as_json() -> None:
    own = [{"name": "enforce_eager", "value": "false"}, {"name": "block_size", "value": "64"}, {"name": "kv_cache_dtype", "value": "fp8"}]
    arguments = engine_arguments(FACTS, Generate.model_validate({"engineArguments": own}), CPU)
    assert (arguments["enforce_eager"], arguments["block_size"], arguments["kv_cache_dtype"]) == (False, 64, "fp8")


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate"), PlatformError, Reason.OUT_OF_MEMORY),
        (MemoryError(), PlatformError, Reason.OUT_OF_MEMORY),
        (ValueError("8.0 GiB KV cache is needed, which is larger than the available"), UserError, Reason.OUT_OF_MEMORY),
        (ValueError("User-specified max_model_len (9) is greater than the derived max_model_len"), UserError, Reason.MODEL_UNUSABLE),
        (RuntimeError("Engine core died"), PlatformError, Reason.ENGINE_FAILED),
    ],
)
def test_errors_by_who_must_act(error: Exception, kind: type[SelfTrainError], reason: Reason) -> None:
    with pytest.raises(kind) as raised, engine._engine_errors():
        raise error
    assert raised.value.reason is reason


class StepEngine:
    """As much of vLLM's engine as `VllmEngine` uses; finishes the newest request first, one a step."""

    def __init__(self) -> None:
        self.open: deque[tuple[str, int]] = deque()
        self.most = 0

    def get_num_unfinished_requests(self) -> int:
        return sum(samples for _, samples in self.open)

    def add_request(self, key: str, prompt: Any, parameters: Any) -> None:
        self.open.append((key, len(prompt)))
        self.most = max(self.most, len(self.open))

    def step(self) -> list[Any]:
        key, samples = self.open.pop()
        return [SimpleNamespace(request_id=key, outputs=[SimpleNamespace(token_ids=[int(key)], finish_reason="stop")] * samples)]


class Stepping(VllmEngine):
    """`VllmEngine` on a `StepEngine`; completions show which request they belong to."""

    def _submit(self, requests: Sequence[Request]) -> Any:
        batch = engine._Batch([[] for _ in requests], len(requests))
        for position, request in enumerate(requests):
            self._owners[str(request.seed)] = (batch, position)
            self.llm.llm_engine.add_request(str(request.seed), request.prompt, None)
        return batch

    def _completion(self, sample: Any) -> Any:
        return sample.token_ids[0]


def requests(*seeds: int) -> list[Request]:
    return [Request([1], seed, Sampling(1, 0.7, 1.0, 8)) for seed in seeds]


def test_batches_come_back_in_order_and_are_fed_while_there_is_room() -> None:
    steps = StepEngine()
    stepping = Stepping(SimpleNamespace(llm_engine=steps), load_tokenizer(MODEL), max_sequences=3)
    pulled = []

    def source() -> Iterator[list[Request]]:
        for batch in (requests(0, 1), requests(2, 3), [], requests(4, 5)):
            pulled.append(len(batch))
            yield batch

    results = stepping.sample(source())
    assert next(results) == [[0], [1]]
    assert pulled[:2] == [2, 2], "the second batch was asked for before the first was done"
    assert list(results) == [[[2], [3]], [], [[4], [5]]]
    assert steps.most <= 3 + 1


def test_facts_of_the_micro_model() -> None:
    config = json.loads((MODEL / "config.json").read_text())
    facts = read_facts(MODEL)
    assert facts.context == config["max_position_embeddings"]
    assert facts.weight_bytes == (MODEL / "model.safetensors").stat().st_size
    assert facts.kv_bytes_per_token == 2 * 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"]


@pytest.mark.parametrize(
    ("rope", "stretches"),
    [
        ({"rope_scaling": None}, False),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}, False),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, True),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}, "sliding_attention": {"rope_type": "default"}}},
            True,
        ),
    ],
)
def test_a_stretched_context_is_told_from_a_plain_one(tmp_path: Path, rope: dict[str, Any], stretches: bool) -> None:
    shutil.copytree(MODEL, tmp_path, dirs_exist_ok=True)
    config = json.loads((MODEL / "config.json").read_text())
    config.pop("rope_parameters", None)
    (tmp_path / "config.json").write_text(json.dumps(config | rope))
    assert read_facts(tmp_path).stretches is stretches


def test_a_context_without_room_is_refused_with_its_numbers() -> None:
    tokenizer, template = load_tokenizer(MODEL), Template(None, "{{instruction}}")
    check_room(tokenizer, FACTS, Generate(max_tokens=1024), [template])
    check_room(tokenizer, replace(FACTS, stretches=True), Generate(max_model_length=8192), [template])
    with pytest.raises(UserError) as error:
        check_room(tokenizer, FACTS, Generate(), [template])
    assert error.value.reason is Reason.MODEL_UNUSABLE
    assert "2048" in error.value.message
    assert "4096" in error.value.message
