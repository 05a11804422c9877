"""Names of everything selftrain makes: labels, Jobs, object keys. Pure functions, so a retry finds what was made before."""

from dataclasses import dataclass

from selftrain.api.stages import Stage, Step

GROUP = "selftrain.dev"
MANAGED_BY = "selftrain"

LABEL_RUN = f"{GROUP}/run"
LABEL_ITERATION = f"{GROUP}/iteration"
LABEL_STAGE = f"{GROUP}/stage"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"

MANIFEST = "manifest.json"
CARD = "README.md"
"""The model card of a checkpoint, where the Hub looks for it."""
TRAINING_LOG = "training.json"
"""Beside the weights of a checkpoint: the loss of every update, and what computed it."""

HUB_TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable; the Hub's own client reads it too
GENERATOR_HUB_TOKEN = "GENERATOR_HF_TOKEN"  # noqa: S105
WEAKER_HUB_TOKEN = "WEAKER_HF_TOKEN"  # noqa: S105
"""Variables with the tokens for gated models: the seed's, and those of the others where they have their own."""


def job_name(run: str, step: Step, attempt: int) -> str:
    """Name of the Job of one attempt, at most 63 characters for a valid run."""
    return f"{run}-i{step.iteration}-{step.stage}-a{attempt}"


def rendezvous_service(run: str) -> str:
    """Name of the Service by which the training pods of a run find each other."""
    return f"{MANAGED_BY}-{run}"


def labels(run: str, step: Step, attempt: int) -> dict[str, str]:
    """Labels of a Job and its pods."""
    return {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_RUN: run,
        LABEL_ITERATION: str(step.iteration),
        LABEL_STAGE: str(step.stage),
        LABEL_ATTEMPT: str(attempt),
    }


@dataclass(frozen=True)
class Layout:
    """Keys of a run's objects below the store's prefix.

    <namespace>/<name>-<uid8>/run.json
    <namespace>/<name>-<uid8>/iteration-003/judge/manifest.json
    <namespace>/<name>-<uid8>/iteration-003/judge/shards/<work8>/00017.json            marker: names the data object
    <namespace>/<name>-<uid8>/iteration-003/judge/shards/<work8>/00017-<sha8>.parquet  data

    Shards lie by the digest of the work that they belong to. Where a spec may change while a stage runs, what was begun under
    another one is left aside, and is there again if the spec is changed back.
    """

    namespace: str
    name: str
    uid: str

    @property
    def root(self) -> str:
        return f"{self.namespace}/{self.name}-{self.uid[:8]}"

    @property
    def run(self) -> str:
        return f"{self.root}/run.json"

    def stage(self, step: Step) -> str:
        return f"{self.root}/iteration-{step.iteration:03d}/{step.stage}"

    def manifest(self, step: Step) -> str:
        return f"{self.stage(step)}/{MANIFEST}"

    def shards(self, step: Step, work: str | None = None) -> str:
        """Prefix of the shards of a step's work, by its digest; of all that was ever begun without one."""
        return f"{self.stage(step)}/shards/" + (f"{work[:8]}/" if work else "")

    def shard_marker(self, step: Step, work: str, shard: int) -> str:
        return f"{self.shards(step, work)}{shard:05d}.json"

    def shard_data(self, step: Step, work: str, shard: int, sha256: str) -> str:
        return f"{self.shards(step, work)}{shard:05d}-{sha256[:8]}.parquet"

    def checkpoint(self, iteration: int, files: str) -> str:
        """Prefix of an iteration's judge, by the digest of its files."""
        return f"{self.stage(Step(iteration, Stage.TRAIN))}/checkpoint/{files[:8]}/"

    def states(self, iteration: int) -> str:
        """Prefix of full training states, for resuming only."""
        return f"{self.stage(Step(iteration, Stage.TRAIN))}/states/"

    def reference(self, iteration: int) -> str:
        """What the model of a DPO training thought of all sequences before, for resuming only."""
        return f"{self.stage(Step(iteration, Stage.TRAIN))}/reference.json"
