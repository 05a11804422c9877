"""One line about where a run is: iteration, stage, shards done, tokens a second."""

from selftrain.api.names import Layout
from selftrain.api.records import Shard
from selftrain.api.stages import SHARDED_STAGES, Stage, Step
from selftrain.api.v1alpha1 import SamplingStage, SelfTrainRun
from selftrain.storage.protocol import ObjectStore


def progress(run: SelfTrainRun, store: ObjectStore) -> str:
    """Where the run is, from its status and the markers of the stage under way."""
    status = run.status
    message = next((c.message for c in status.conditions if c.type == "Progressing"), "")
    if status.stage is None or status.iteration is None or status.stage not in SHARDED_STAGES:
        return f"{status.progress or '-'} {message}"
    step = Step(status.iteration, status.stage)
    layout = Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)
    done = [Shard.model_validate_json(store.read(info.key)) for info in store.list(layout.shards(step)) if info.key.endswith(".json")]
    seconds, tokens = sum(shard.seconds for shard in done), sum(shard.tokens for shard in done)
    speed = f", {tokens / seconds:.0f} tokens/s" if seconds else ""
    return f"{status.progress} {message}; {len(done)} of at most {_shards(run, step.stage)} shards{speed}"


def _shards(run: SelfTrainRun, stage: Stage) -> int:
    """Shards of a stage; there are fewer where there is less to do than that."""
    block: SamplingStage = getattr(run.spec, stage)
    return block.shards
