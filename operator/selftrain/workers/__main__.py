"""The worker process of every stage: reads its work order, does it, and says how it ended.

What it needs to know is in SELFTRAIN_WORK. Heavy libraries are imported behind this module, only the stage's own.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

from selftrain.api.errors import ExitCode
from selftrain.api.records import Work
from selftrain.api.stages import SHARDED_STAGES, Stage
from selftrain.planning.steps import WEAKER_STEP
from selftrain.storage.open import open_store
from selftrain.workers.context import Context
from selftrain.workers.exits import Drain, last_words, write_termination
from selftrain.workers.machine import environment, read_machine

log = logging.getLogger("selftrain.workers")


def main() -> int:
    """Do the work order in the environment; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    drain = Drain()
    try:
        drain.install()
        work = Work.model_validate_json(os.environ["SELFTRAIN_WORK"])
        log.info("%s of run %s, attempt %d, pod %s", work.step, work.run.name, work.attempt, _index())
        with tempfile.TemporaryDirectory(prefix=f"{work.stage}-", dir=_scratch()) as scratch:
            _run(Context(work, open_store(work.spec.store), Path(scratch), _index(), drain))
    except BaseException as error:  # the last place that can say why the pod ended
        code, words = last_words(error)
        log.log(logging.INFO if code is ExitCode.DRAINED else logging.ERROR, "%s", words.message, exc_info=code is ExitCode.PLATFORM)
        write_termination(words)
        return int(code)
    return int(ExitCode.OK)


def _run(context: Context) -> None:
    """The stage's recipe. Imports stand here so that no stage pays for another one's engine."""
    stage = context.work.stage
    if stage in SHARDED_STAGES:
        settings = getattr(context.work.spec, stage)
        ranks = settings.tensor_parallel_size * settings.pipeline_parallel_size
        for name, value in environment(read_machine(), ranks, _cache()).items():
            os.environ.setdefault(name, value)  # the pod's own environment wins
    if context.work.first:
        from selftrain.workers import preflight

        preflight.run(context)
    match stage:
        case Stage.GENERATE if context.work.step == WEAKER_STEP:
            from selftrain.workers import weaker

            weaker.run(context)
        case Stage.GENERATE:
            from selftrain.workers import generate

            generate.run(context)
        case Stage.JUDGE:
            from selftrain.workers import judge

            judge.run(context)
        case Stage.SELECT:
            from selftrain.workers import select

            select.run(context)
        case Stage.TRAIN:
            from selftrain.workers import train

            train.run(context)
        case Stage.EVALUATE:
            from selftrain.workers import evaluate

            evaluate.run(context)


def _index() -> int:
    return int(os.environ.get("JOB_COMPLETION_INDEX", "0"))


def _scratch() -> str | None:
    folder = os.environ.get("SELFTRAIN_SCRATCH")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return folder


def _cache() -> Path:
    """Where engines keep what they compile; the pod's volumes for caches are named by their own variables."""
    return Path(os.environ.get("SELFTRAIN_SCRATCH") or tempfile.gettempdir()) / "cache"


if __name__ == "__main__":
    sys.exit(main())
