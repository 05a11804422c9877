"""A run far larger than the tests' others, for what workers hold in memory. Each stage runs in a process of its own.

python -m helpers.large judge|select FOLDER     prints what the process held at most beside an engine, in KiB
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.fixtures import MODEL
from helpers.memory import peak
from selftrain.api.records import Manifest, Work
from selftrain.api.seeds import seed_of
from selftrain.api.stages import Stage
from selftrain.storage.commit import commit, write_shard
from selftrain.storage.open import open_store
from selftrain.storage.tables import PAIRS, write_table
from selftrain.workers.context import Context
from selftrain.workers.exits import Drain

if TYPE_CHECKING:  # its import brings the engine's libraries, which select does without
    from selftrain.workers.engine import Completion, Request

PAIR_COUNT = 12_000
SAMPLES = 4
TRACE = "The first answer is about another question. " * 60
DIGEST = "0" * 64


class Talker:
    """Stands in for the engine: long traces, half of them right. Two batches are always under way, as in the real one."""

    limit = 100_000
    _numbers = count()

    def sample(self, batches: Iterable[Sequence["Request"]]) -> Iterator[list[list["Completion"]]]:
        held: list[list[list[Completion]]] = []
        for batch in batches:
            held.append([[self._one() for _ in range(request.sampling.samples)] for request in batch])
            if len(held) > 1:
                yield held.pop(0)
        yield from held

    def _one(self) -> "Completion":
        from selftrain.workers.engine import Completion

        number = next(self._numbers)
        return Completion(f"{number} {TRACE}[[{'AB'[seed_of(number) % 2]}]]", "stop", 500)


def work(folder: Path, stage: Stage) -> Work:
    """The stage of the run; one shard is asked for."""
    spec = {
        "model": {"uri": f"file://{MODEL}"},
        "store": {"uri": f"file://{folder}/store"},
        "instructions": {"uri": f"file://{folder}/none.jsonl"},
        "judge": {"shards": 1, "samples": SAMPLES},
    }
    return Work.model_validate({"run": {"name": "large"}, "iteration": 1, "stage": stage, "attempt": 1, "spec": spec})


def write_pairs(folder: Path) -> None:
    """What generate would have left."""
    own = work(folder, Stage.GENERATE)
    store, path = open_store(own.spec.store), folder / "pairs.parquet"
    answer = "An answer of some length. " * 40
    rows = (
        {"pair_id": f"p{n}", "instruction": f"Do {n}.", "chosen": f"{n} {answer}", "rejected": f"{answer} {n}", "kind": "variation"}
        for n in range(PAIR_COUNT)
    )
    count = write_table(rows, PAIRS, path)
    shard = write_shard(store, own.layout, own.step, 0, path, work=DIGEST, of=1, rows=count)
    manifest = Manifest(run="large", iteration=1, stage=Stage.GENERATE, attempt=1, work=DIGEST, inputs={}, parts=[shard.part])
    commit(store, own.layout, manifest)


class WithoutPandas(MetaPathFinder):
    """The image has no pandas; here it comes with TRL, and pyarrow imports it where it can, which takes 40 MB."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def main(stage: Stage, folder: Path) -> None:
    own = work(folder, stage)
    context = Context(own, open_store(own.spec.store), folder / stage, 0, Drain())
    context.scratch.mkdir()
    if stage is Stage.SELECT:
        sys.meta_path.insert(0, WithoutPandas())
        from selftrain.workers import select

        select.run(context)
        print(peak())
    else:
        from selftrain.workers import judge
        from selftrain.workers.sampling import Sampler

        engine = peak()  # its libraries come with the import
        judge.run(context, lambda *_: Sampler(Talker(), lambda messages: [1] * len(messages)))
        print(peak() - engine)


if __name__ == "__main__":
    main(Stage(sys.argv[1]), Path(sys.argv[2]))
