"""What a pod's parent process tells its ranks, as a file in a folder that they share."""

from pathlib import Path

from selftrain.api.base import ApiModel
from selftrain.api.recipes import Objective
from selftrain.api.records import Digest, Work
from selftrain.api.training import Train

FILE = "order.json"


class RunOrder(ApiModel):
    """The part that concerns a run: where states and the checkpoint go, and what stands in the manifest."""

    work: Work
    digest: Digest
    """Digest of everything that decides the content."""
    inputs: dict[str, Digest]


class TrainOrder(ApiModel):
    """One training. All paths are local."""

    folder: Path
    """Where the ranks of this pod may write, and where they find this order."""
    model: Path
    """The model that is trained further."""
    tables: list[Path]
    """Parquet tables of examples."""
    limit: int
    """Longest example in tokens; longer ones are left out."""
    output: Path
    """Folder of the trained model."""
    settings: Train
    objective: Objective
    seed: int
    cpu_bf16: bool
    """Whether this processor multiplies bfloat16 in hardware. Without, and without a GPU, ranks compute in float32."""
    run: RunOrder | None = None
    """Absent for a training outside of a run: nothing is stored but the model."""

    @property
    def mirrored(self) -> bool | None:
        """Whether pairs were selected only if they were judged right in both orders; None outside of a run, which selects nothing."""
        return self.run.work.spec.resolved.require_mirror if self.run else None

    @property
    def corpus(self) -> Path:
        """The examples as token ids, made by the first rank of the pod."""
        return self.folder / "corpus"

    @property
    def drain(self) -> Path:
        """A file that the parent makes when the pod is asked to stop."""
        return self.folder / "drain"

    def failure(self, rank: int) -> Path:
        """Where a rank says why it failed."""
        return self.folder / f"failure-{rank}.json"

    def write(self) -> Path:
        """The order's file."""
        path = self.folder / FILE
        path.write_text(self.model_dump_json(), encoding="utf-8")
        return path


def read_order(path: Path) -> TrainOrder:
    """The order in a file."""
    return TrainOrder.model_validate_json(path.read_bytes())
