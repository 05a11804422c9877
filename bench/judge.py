"""Output tokens a second of the judge worker beside bare vLLM, on the same prompts, in turns.

    python bench/judge.py RUN.yaml STORE [ROUNDS]     STORE (file://) holds the pairs of `selftrain local RUN.yaml`

Bare vLLM gets its best settings for the machine: the engine in its own process on all processors, one call with all
prompts, no seeds. The worker does its stage: reads the pairs, samples with seeds, parses, writes and commits shards.
Loading is left out of both. One order of each pair is judged, so that a round takes minutes. Machines are noisy: what
counts is the ratio of neighbouring turns.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from selftrain.api.records import Work
from selftrain.api.stages import Stage, Step
from selftrain.local.manifest import read_run
from selftrain.storage.open import open_store
from selftrain.workers.context import Context, finished
from selftrain.workers.engine import CPU_BLOCK
from selftrain.workers.exits import Drain
from selftrain.workers.machine import environment, read_machine

TUNED: dict[str, Any] = {"enable_chunked_prefill": False, "enable_prefix_caching": True, "block_size": CPU_BLOCK}
"""What proved fastest for these prompts on CPUs."""

PAIRS, JUDGE = Step(1, Stage.GENERATE), Step(1, Stage.JUDGE)


def work_order(manifest: Path, store: Path) -> Work:
    run = read_run(manifest, f"file://{store}")
    judge = run.spec.judge.model_copy(update={"orders": "random"})
    spec = run.spec.model_copy(update={"judge": judge})
    return Work(run=run.metadata, iteration=1, stage=Stage.JUDGE, attempt=1, spec=spec)


def worker(work: Work, folder: Path) -> float:
    """One judge stage on a copy of the run that has its pairs and nothing else."""
    source, target = Path(work.spec.store.uri.removeprefix("file://")), folder / "store"
    kept = (work.layout.run, work.layout.manifest(PAIRS), *(part.key for part in finished(context(work, folder), PAIRS).parts))
    for key in kept:
        (target / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / key, target / key)
    store = work.spec.store.model_copy(update={"uri": f"file://{target}"})
    own = work.model_copy(update={"spec": work.spec.model_copy(update={"store": store})})
    environment = {"SELFTRAIN_WORK": own.model_dump_json(by_alias=True), "SELFTRAIN_SCRATCH": str(folder / "scratch")}
    child([sys.executable, "-m", "selftrain.workers"], environment)
    done = finished(context(own, folder), JUDGE)
    return done.tokens / done.seconds


def bare(work: Work, folder: Path) -> float:
    """The prompts of the same stage, given to vLLM by itself."""
    result = folder / "bare.json"
    threads = environment(read_machine(), 1, folder / "cache")
    child([sys.executable, __file__, "--bare", str(result)], {**threads, "SELFTRAIN_WORK": work.model_dump_json(by_alias=True)})
    found: dict[str, Any] = json.loads(result.read_text())
    return float(found["tokens"] / found["seconds"])


def sample_bare(result: Path) -> None:
    work = Work.model_validate_json(os.environ["SELFTRAIN_WORK"])
    prompts, settings = rendered(work, result.parent), work.spec.judge
    from vllm import LLM, SamplingParams  # noqa: PLC0415 - the environment is read when it is imported

    model = work.spec.model.uri.removeprefix("file://")
    llm = LLM(model, max_model_len=settings.max_model_length, max_num_seqs=settings.max_sequences, enforce_eager=True, **TUNED)
    how = SamplingParams(
        n=settings.samples,
        temperature=float(settings.temperature),
        top_p=float(settings.top_p),
        max_tokens=settings.max_tokens,
        detokenize=False,
    )
    begun = time.monotonic()
    outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], how, use_tqdm=False)
    seconds = time.monotonic() - begun
    tokens = sum(len(sample.token_ids) for output in outputs for sample in output.outputs)
    result.write_text(json.dumps({"tokens": tokens, "seconds": seconds}))


def rendered(work: Work, scratch: Path) -> list[list[int]]:
    """Token ids of every prompt, as the worker makes them."""
    from selftrain.prompts import resolve  # noqa: PLC0415 - as in sample_bare
    from selftrain.workers.chat import encode, load_tokenizer  # noqa: PLC0415
    from selftrain.workers.judge import ordered  # noqa: PLC0415
    from selftrain.workers.rows import count_rows, read_rows  # noqa: PLC0415

    here, template = context(work, scratch), resolve(work.spec.prompts, "judge")
    parts = finished(here, PAIRS).parts
    tokenizer = load_tokenizer(Path(work.spec.model.uri.removeprefix("file://")))
    rows = read_rows(here.store, parts, scratch, 0, count_rows(parts))
    return [encode(tokenizer, template.messages(one.values)) for one in ordered(here, rows)]


def context(work: Work, scratch: Path) -> Context:
    return Context(work, open_store(work.spec.store), scratch, 0, Drain())


def child(command: list[str], own: dict[str, str]) -> None:
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])


def main() -> None:
    work, rounds = work_order(Path(sys.argv[1]), Path(sys.argv[2].removeprefix("file://"))), int((sys.argv[3:] or ["2"])[0])
    ratios = []
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            alone, ours = bare(work, Path(one)), worker(work, Path(two))
        ratios.append(ours / alone)
        print(f"round {turn + 1}: bare vLLM {alone:.0f} tokens/s, judge worker {ours:.0f} tokens/s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {median(ratios):.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "--bare":
        sample_bare(Path(sys.argv[2]))
    else:
        main()
