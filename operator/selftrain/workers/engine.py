"""A thin seam around the vLLM engine, used offline and with token ids. What recipes need of an engine is `Engine`."""

import json
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol, Self

from transformers import PreTrainedTokenizerBase

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.api.v1alpha1 import EngineArgument, SamplingStage
from selftrain.workers.chat import decode, end_of_turn
from selftrain.workers.machine import Machine, kv_cache_bytes
from selftrain.workers.models import ModelFacts

log = logging.getLogger(__name__)

CPU_BLOCK = 32
"""Tokens of a block of the KV cache on CPUs. Samples share whole blocks of their prompt only, and the engine's own 128 tokens (vLLM 0.32)
are more than many a prompt has: each sample computed all of it anew. Its fast attention there asks for multiples of 32."""


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn; temperature 0 is greedy."""

    samples: int
    temperature: float
    top_p: float
    max_tokens: int

    @classmethod
    def drawn(cls, settings: SamplingStage, samples: int) -> Self:
        """As a stage says."""
        return cls(samples, float(settings.temperature), float(settings.top_p), settings.max_tokens)

    @classmethod
    def greedy(cls, settings: SamplingStage) -> Self:
        """The likeliest completion, as long as a stage allows."""
        return cls(1, 0.0, 1.0, settings.max_tokens)


@dataclass(frozen=True)
class Request:
    """One prompt. Sample i is drawn with seed + i, so it depends on nothing but the request itself."""

    prompt: Sequence[int]
    seed: int
    sampling: Sampling


@dataclass(frozen=True)
class Completion:
    """One sampled text. `finish` is the engine's word: "stop" for an end of its own, "length" at the token limit."""

    text: str
    finish: str
    tokens: int


class Engine(Protocol):
    """A loaded model."""

    @property
    def limit(self) -> int:
        """Longest prompt plus completion in tokens."""
        ...

    def sample(self, batches: Iterable[Sequence[Request] | None]) -> Iterator[list[list[Completion]]]:
        """The completions of each batch's requests, batch by batch in order.

        A batch is asked for as soon as the engine has room, so that it is never half empty at a batch's end. None says that there is none
        before more results are out.
        """
        ...


@dataclass
class _Batch:
    """A batch in the engine: results by position, and how many are still to come."""

    results: list[list[Completion]]
    open: int


@dataclass
class VllmEngine:
    """The engine in this process. Results are the same whatever else is sampled at the time (tested on CPUs)."""

    llm: Any
    tokenizer: PreTrainedTokenizerBase
    max_sequences: int
    _numbers: Iterator[int] = field(default_factory=count)
    _owners: dict[str, tuple[_Batch, int]] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        return int(self.llm.llm_engine.model_config.max_model_len)

    def sample(self, batches: Iterable[Sequence[Request] | None]) -> Iterator[list[list[Completion]]]:
        source, waiting = iter(batches), deque[_Batch]()
        while True:
            while self._has_room() and (requests := next(source, None)) is not None:
                waiting.append(self._submit(requests))
            if not waiting:
                return
            while waiting and not waiting[0].open:
                yield waiting.popleft().results
            if waiting:
                self._step()

    def _has_room(self) -> bool:
        return bool(self.llm.llm_engine.get_num_unfinished_requests() < self.max_sequences)

    def _submit(self, requests: Sequence[Request]) -> _Batch:
        from vllm.inputs import tokens_input

        batch = _Batch([[] for _ in requests], len(requests))
        with _engine_errors():
            for position, request in enumerate(requests):
                key = str(next(self._numbers))
                self._owners[key] = (batch, position)
                self.llm.llm_engine.add_request(key, tokens_input(list(request.prompt)), self._parameters(request))
        return batch

    def _parameters(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            n=request.sampling.samples,
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_tokens=request.sampling.max_tokens,
            seed=request.seed,
            stop_token_ids=[end_of_turn(self.tokenizer)],
            detokenize=False,  # done once at the end, with the worker's own tokenizer
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _step(self) -> None:
        with _engine_errors():
            outputs = self.llm.llm_engine.step()
        for output in outputs:
            batch, position = self._owners.pop(output.request_id)
            batch.results[position] = [self._completion(sample) for sample in output.outputs]
            batch.open -= 1

    def _completion(self, sample: Any) -> Completion:
        return Completion(decode(self.tokenizer, sample.token_ids), sample.finish_reason, len(sample.token_ids))


def load_engine(
    folder: Path, facts: ModelFacts, tokenizer: PreTrainedTokenizerBase, settings: SamplingStage, machine: Machine
) -> VllmEngine:
    """Load a model. `machine.environment` must have been set before anything imported torch."""
    arguments = engine_arguments(facts, settings, machine)
    log.info("engine: loading %s with %s", folder, arguments)
    with _engine_errors():
        from vllm import LLM

        if not machine.accelerator:
            _import_classes(facts.architectures)
        llm = LLM(str(folder), **arguments)
    return VllmEngine(llm, tokenizer, settings.max_sequences)


def _import_classes(architectures: Sequence[str]) -> None:
    """Register the model's classes as imported: by itself the engine starts another interpreter just to look at them.

    It does so lest a GPU be initialized too early. On two cores that is 18 s at each start of a pod.
    """
    from vllm import ModelRegistry

    for name in architectures:
        if (known := ModelRegistry.models.get(name)) is not None:
            ModelRegistry.register_model(name, known.load_model_cls())


def engine_arguments(facts: ModelFacts, settings: SamplingStage, machine: Machine) -> dict[str, Any]:
    """Arguments of `vllm.LLM`. The author's own come last and win."""
    return {
        "max_model_len": settings.max_model_length,
        "max_num_seqs": settings.max_sequences,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        "quantization": settings.quantization,
        "enable_prefix_caching": True,  # the samples of a prompt, and the two orders of a pair, share their beginning
        "trust_remote_code": False,
        "disable_log_stats": True,
        **({} if machine.accelerator else _cpu_arguments(facts, settings, machine)),
        **own_arguments(settings.engine_arguments),
    }


def own_arguments(arguments: Sequence[EngineArgument]) -> Mapping[str, Any]:
    """The author's arguments, numbers and booleans read as JSON."""
    return {argument.name: _value(argument.value) for argument in arguments}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _cpu_arguments(facts: ModelFacts, settings: SamplingStage, machine: Machine) -> dict[str, Any]:
    needed = facts.kv_bytes_per_token * (settings.max_model_length or facts.context) * settings.max_sequences
    return {
        "dtype": "auto" if machine.bfloat16 else "float32",
        "block_size": CPU_BLOCK,
        "enforce_eager": True,  # compiling takes minutes and, at these sizes, gains nothing
        "enable_chunked_prefill": False,  # seeded sampling fails on CPUs once a prompt is prefilled in parts (vLLM 0.32)
        "kv_cache_memory_bytes": kv_cache_bytes(machine, facts.weight_bytes, needed),
    }


@contextmanager
def _engine_errors() -> Iterator[None]:
    """What the engine raises, sorted by who must act. Its errors have no types to go by, only texts."""
    try:
        yield
    except SelfTrainError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if "out of memory" in text.lower() or isinstance(error, MemoryError):
            raise PlatformError(Reason.OUT_OF_MEMORY, text[:1000], "give the stage more memory, or lower maxSequences") from error
        if "derived max_model_len" in text:
            raise UserError(Reason.MODEL_UNUSABLE, text[:1000], "lower maxModelLength to what the model can do") from error
        if "KV cache" in text or "cache blocks" in text:
            message = f"no memory is left for a sequence of the longest length: {text[:800]}"
            raise UserError(Reason.OUT_OF_MEMORY, message, "lower maxModelLength, or give the stage more memory") from error
        raise PlatformError(Reason.ENGINE_FAILED, text[:1000], "read the pod's log") from error
