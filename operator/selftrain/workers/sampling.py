"""Prompts in, completions out: what the three recipes that use the engine share."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple, TypeVar

from transformers import PreTrainedTokenizerBase

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.v1alpha1 import SamplingStage
from selftrain.prompts import Template
from selftrain.workers.chat import Message, encode, load_tokenizer
from selftrain.workers.engine import Completion, Engine, Request, Sampling, load_engine
from selftrain.workers.machine import read_machine
from selftrain.workers.models import ModelFacts, read_facts

log = logging.getLogger(__name__)
K = TypeVar("K")

TOO_LONG = "too-long"
"""The finish of a prompt that was never sampled because it does not fit."""


class Sampled(NamedTuple):
    """Completions of a batch, by request; None where the prompt does not fit the model's context."""

    completions: list[list[Completion] | None]
    seconds: float
    """Time since the batch before it was done: batches overlap in the engine."""

    @property
    def tokens(self) -> int:
        return sum(sample.tokens for samples in self.completions for sample in samples or ())


@dataclass(frozen=True)
class Sampler:
    """An engine and the way its model reads messages."""

    engine: Engine
    encode: Callable[[Sequence[Message]], list[int]]

    def request(self, template: Template, values: Mapping[str, str], seed: int, sampling: Sampling) -> Request:
        """A prompt ready for `sample`."""
        return Request(self.encode(template.messages(values)), seed, sampling)

    def sample(self, batches: Iterable[tuple[K, Sequence[Request]] | None]) -> Iterator[tuple[K, Sampled]]:
        """Each batch's key and results, in order. None instead of a batch says that there is none before more results."""
        asked: deque[tuple[K, list[bool]]] = deque()

        def fitting() -> Iterator[list[Request] | None]:
            for batch in batches:
                if batch is None:
                    yield None
                    continue
                key, requests = batch
                fits = [len(request.prompt) + request.sampling.max_tokens <= self.engine.limit for request in requests]
                asked.append((key, fits))
                yield [request for request, fit in zip(requests, fits, strict=True) if fit]

        began = monotonic()
        for results in self.engine.sample(fitting()):
            key, fits = asked.popleft()
            rest, now = iter(results), monotonic()
            yield key, Sampled([next(rest) if fit else None for fit in fits], now - began)
            began = now


Load = Callable[[Path, SamplingStage, Sequence[Template]], Sampler]


def load_sampler(folder: Path, settings: SamplingStage, templates: Sequence[Template]) -> Sampler:
    """Load a model's tokenizer and engine. A model that cannot work is refused before the engine is started."""
    tokenizer, facts = load_tokenizer(folder), read_facts(folder)
    check_room(tokenizer, facts, settings, templates)
    began = monotonic()
    engine = load_engine(folder, facts, tokenizer, settings, read_machine())
    log.info("engine: ready after %.1f s, %d tokens of context", monotonic() - began, engine.limit)
    return Sampler(engine, partial(encode, tokenizer))


def check_room(tokenizer: PreTrainedTokenizerBase, facts: ModelFacts, settings: SamplingStage, templates: Sequence[Template]) -> None:
    """Refuse a context the model has not, and one in which not even an empty prompt leaves room for maxTokens."""
    limit = settings.max_model_length or facts.context
    if limit > facts.context and not facts.stretches:
        message = f"{settings.stage}.maxModelLength is {limit}, and the model has a context of {facts.context} tokens"
        raise UserError(Reason.MODEL_UNUSABLE, message, "lower it, or choose a model with a longer context")
    for template in templates:
        shortest = len(encode(tokenizer, template.messages(Blank())))
        if shortest + settings.max_tokens >= limit:
            message = (
                f"a context of {limit} tokens leaves no room for {settings.stage}.maxTokens, which is {settings.max_tokens}: "
                f"the bare prompt has {shortest}"
            )
            raise UserError(Reason.MODEL_UNUSABLE, message, "lower it, or choose a model with a longer context")


class Blank(dict[str, str]):
    """Values for a template without any text."""

    def __missing__(self, _key: str) -> str:
        return ""
