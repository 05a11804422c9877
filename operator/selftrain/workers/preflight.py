"""What the first stage checks before anything is computed, so that a wrong manifest is told within minutes."""

import logging
from pathlib import Path

from selftrain.prompts import resolve
from selftrain.storage.benchmarks import read_benchmark
from selftrain.storage.open import probe
from selftrain.workers.chat import load_tokenizer
from selftrain.workers.context import Context, benchmark, freeze, seed, writers
from selftrain.workers.generate import read_sources, templates
from selftrain.workers.lora import check_targets
from selftrain.workers.models import read_facts
from selftrain.workers.sampling import check_room
from selftrain.workers.shards import digests

log = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Check store, prompts, inputs and models, then freeze their digests in run.json."""
    spec = context.work.spec
    probe(context.store)
    prompts = {**templates(spec), "judge": resolve(spec.prompts, "judge")}
    sources = read_sources(context)
    left_out = {str(reason): count for reason, count in sources.drops.items()}
    log.info("preflight: %d instructions, left out: %s; %d labelled pairs", sources.count, left_out, len(sources.labelled))
    files = {entry.name: benchmark(context, entry.name, entry.uri) for entry in spec.evaluate.benchmarks}
    for entry in spec.evaluate.benchmarks:
        log.info("preflight: benchmark %s has %d pairs", entry.name, len(read_benchmark(files[entry.name].path, entry.format)))
    model = seed(context)
    _check_models(context, model.path)
    asked = {f"prompt/{name}": digest for name, digest in digests(prompts).items()}
    held_out = {f"benchmark/{name}": file.digest for name, file in files.items()}
    freeze(context, {**sources.digests, "model": model.digest, **held_out, **asked})


def _check_models(context: Context, model: Path) -> None:
    """All models must have room for every prompt they will be given, and the seed the layers that adapters are for."""
    spec = context.work.spec
    judge = resolve(spec.prompts, "judge")
    tokenizer, facts = load_tokenizer(model), read_facts(model)
    check_room(tokenizer, facts, spec.judge, [judge])
    if spec.evaluate.benchmarks:
        check_room(tokenizer, facts, spec.evaluate, [judge])
    if spec.train.lora:
        check_targets(model, spec.train.lora)
    asked = {"generator": [*templates(spec).values()], "weaker": [resolve(spec.prompts, "answer")]}
    for name, folder in writers(context).items():
        check_room(load_tokenizer(folder), read_facts(folder), spec.generate, asked[name])
