"""What the first stage checks before anything is computed, so that a wrong manifest is told within minutes."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from selftrain.api.records import Drop
from selftrain.method.questions import prompts_of
from selftrain.prompts import PromptName, Template, resolve
from selftrain.storage.benchmarks import read_items
from selftrain.storage.open import probe
from selftrain.workers.chat import load_tokenizer
from selftrain.workers.context import Context, benchmark, freeze, generator_settings, seed
from selftrain.workers.generate import prompt_names, read_sources
from selftrain.workers.models import read_facts
from selftrain.workers.sampling import check_room
from selftrain.workers.shards import digests

log = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Check store, prompts, inputs and models, then freeze their digests in run.json."""
    spec = context.work.spec
    probe(context.store)
    names: tuple[PromptName, ...] = (*prompt_names(spec), "judge", *prompts_of(spec.evaluate.benchmarks))
    templates = {name: resolve(spec.prompts, name) for name in names}
    sources = read_sources(context)
    log.info("preflight: %d instructions, left out: %s; %d labelled pairs", sources.count, _told(sources.drops), len(sources.labelled))
    files = {entry.name: benchmark(context, entry.name, entry.uri) for entry in spec.evaluate.benchmarks}
    for entry in spec.evaluate.benchmarks:
        drops: Counter[Drop] = Counter()
        items = read_items(files[entry.name].path, entry.format, drops)
        log.info("preflight: benchmark %s has %d items, left out: %s", entry.name, len(items), _told(drops))
    model = seed(context)
    _check_models(context, model.path, templates)
    prompts = {f"prompt/{name}": digest for name, digest in digests(templates).items()}
    held_out = {f"benchmark/{name}": file.digest for name, file in files.items()}
    freeze(context, {**sources.digests, "model": model.digest, **held_out, **prompts})


def _told(drops: Mapping[Drop, int]) -> dict[str, int]:
    return {str(reason): count for reason, count in drops.items()}


def _check_models(context: Context, model: Path, templates: Mapping[PromptName, Template]) -> None:
    """Both models must have room for every prompt they will be given."""
    spec = context.work.spec
    asked = [templates[name] for name in prompt_names(spec)]
    tokenizer, facts = load_tokenizer(model), read_facts(model)
    check_room(tokenizer, facts, spec.judge, [templates["judge"]])
    if spec.evaluate.benchmarks:
        check_room(tokenizer, facts, spec.evaluate, [templates[name] for name in prompts_of(spec.evaluate.benchmarks)])
    generator = generator_settings(context)
    check_room(load_tokenizer(generator), read_facts(generator), spec.generate, asked)
