"""What the first stage checks before anything is computed, so that a wrong manifest is told within minutes."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
from selftrain.api.v1alpha1 import Spec
from selftrain.method.questions import Prompt, prompts_of
from selftrain.prompts import resolve, sampled_with
from selftrain.storage.benchmarks import read_items
from selftrain.storage.open import probe
from selftrain.workers.chat import encode, load_tokenizer
from selftrain.workers.context import Context, benchmark, freeze, seed, writers
from selftrain.workers.generate import read_sources, templates
from selftrain.workers.lora import check_targets
from selftrain.workers.models import read_facts
from selftrain.workers.sampling import Blank, check_room
from selftrain.workers.shards import digests

log = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Check store, prompts, inputs and models, then freeze their digests in run.json."""
    spec = context.work.spec
    probe(context.store)
    exams: set[Prompt] = {"judge", *_exam_prompts(spec)}
    prompts = templates(spec) | {name: resolve(spec.prompts, name) for name in {sampled_with(spec.prompts), *exams}}
    sources = read_sources(context)
    log.info("preflight: %d instructions and %d labelled pairs, left out: %s", sources.count, len(sources.labelled), _told(sources.drops))
    files = {entry.name: benchmark(context, entry.name, entry.uri) for entry in spec.evaluate.benchmarks}
    for entry in spec.evaluate.benchmarks:
        drops: Counter[Drop] = Counter()
        items = read_items(files[entry.name].path, entry.format, drops, entry.mode)
        log.info("preflight: benchmark %s has %d items, left out: %s", entry.name, len(items), _told(drops))
    model = seed(context)
    _check_models(context, model.path)
    asked = {f"prompt/{name}": digest for name, digest in digests(prompts).items()}
    held_out = {f"benchmark/{name}": file.digest for name, file in files.items()}
    freeze(context, {**sources.digests, "model": model.digest, **held_out, **asked})


def _exam_prompts(spec: Spec) -> list[Prompt]:
    return prompts_of(spec.evaluate.benchmarks, validation=spec.held_out > 0)


def _told(drops: Mapping[Drop, int]) -> dict[str, int]:
    return {str(reason): count for reason, count in drops.items()}


def _check_models(context: Context, model: Path) -> None:
    """All models must have room for every prompt they will be given, and the seed the layers that adapters are for."""
    spec = context.work.spec
    judge = resolve(spec.prompts, "judge")
    tokenizer, facts = load_tokenizer(model), read_facts(model)
    check_room(tokenizer, facts, spec.judge, [resolve(spec.prompts, sampled_with(spec.prompts))])
    if exams := _exam_prompts(spec):
        check_room(tokenizer, facts, spec.evaluate, [resolve(spec.prompts, name) for name in exams])
    _check_length(spec.train.sequence_length, len(encode(tokenizer, judge.messages(Blank()))))
    if spec.train.lora:
        check_targets(model, spec.train.lora)
    asked = {"generator": [*templates(spec).values()], "weaker": [resolve(spec.prompts, "answer")]}
    for name, folder in writers(context).items():
        check_room(load_tokenizer(folder), read_facts(folder), spec.generate, asked[name])


def _check_length(limit: int, shortest: int) -> None:
    """No example can be learnt whose prompt alone is too long, and every prompt is longer than the bare one."""
    if shortest >= limit:
        message = f"train.sequenceLength is {limit}, and the judge prompt without instruction and answers has {shortest} tokens"
        raise UserError(Reason.SEQUENCE_TOO_LONG, message, REASONS[Reason.SEQUENCE_TOO_LONG][1])
