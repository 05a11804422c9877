"""One line about where a run is: iteration, stage, shards or updates done, tokens a second."""

from collections import Counter
from collections.abc import Callable

from selftrain.api.conditions import ConditionType
from selftrain.api.names import Layout, job_name
from selftrain.api.records import Shard
from selftrain.api.stages import SHARDED_STAGES, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.storage.protocol import ObjectStore


def progress(run: SelfTrainRun, store: ObjectStore, last_line: Callable[[str], str]) -> str:
    """Where the run is. Shards are counted in the store; what a training says is its log's last line, by the Job's name."""
    status = run.status
    said = next((c.message for c in status.conditions if c.type is ConditionType.PROGRESSING), "")
    line = f"{status.progress} {said}" if status.progress else said or "nobody has looked at the run yet"
    if status.stage is None or status.iteration is None:
        return line
    step = Step(status.iteration, status.stage)
    detail = (
        _shards(run, store, step)
        if step.stage in SHARDED_STAGES
        else _training(last_line(job_name(run.metadata.name, step, status.attempt)))
    )
    return f"{line}; {detail}" if detail else line


def _shards(run: SelfTrainRun, store: ObjectStore, step: Step) -> str:
    """Markers in the store. How many there will be is known with the first one: the worker counts what there is to do.

    If the spec was changed in between, the work that most was done of is told.
    """
    layout = Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)
    found = [Shard.model_validate_json(store.read(info.key)) for info in store.list(layout.shards(step)) if info.key.endswith(".json")]
    most = Counter(shard.work for shard in found).most_common(1)
    done = [shard for shard in found if shard.work == most[0][0]]
    seconds, tokens = sum(shard.seconds for shard in done), sum(shard.tokens for shard in done)
    if not done:
        return "no shard yet"
    return f"{len(done)} of {done[0].of} shards" + (f", {tokens / seconds:.0f} tokens/s" if seconds else "")


def _training(line: str) -> str:
    """The worker's own words, without the date before them."""
    _, _, words = line.partition(" INFO ")
    return words if words.startswith("update ") else ""
