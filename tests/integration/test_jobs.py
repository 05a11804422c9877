"""The Jobs and Services that stages get, in front of a real API server: nothing unknown in them, nothing that it refuses."""

import pytest
import yaml

from helpers.control_plane import ControlPlane
from helpers.fixtures import RUNS
from selftrain.api.load import run_of
from selftrain.api.pods import PodSettings
from selftrain.api.records import Work
from selftrain.api.stages import Stage
from selftrain.kube.jobs import Defaults, objects_of
from selftrain.kube.pods import Images

pytestmark = pytest.mark.cluster

DEFAULTS = Defaults(Images("controller:1", "generate:1", "train:1"), PodSettings())


@pytest.mark.parametrize("manifest", ["smallest", "gpu-70b"])
@pytest.mark.parametrize("stage", list(Stage))
def test_they_are_accepted_strictly_and_pods_pass_the_restricted_level(
    plane: ControlPlane, namespace: str, stage: Stage, manifest: str
) -> None:
    plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    plane.kubectl("create", "-n", namespace, "-f", str(RUNS / "good" / f"{manifest}.yaml"))
    run = run_of(plane.get(namespace, "selftrainrun", "judge"))
    service, job = objects_of(Work(run=run.metadata, iteration=1, stage=stage, attempt=1, spec=run.spec), DEFAULTS)
    template = job["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace}, "spec": dict(template["spec"])}
    for elsewhere in ("priorityClassName", "runtimeClassName"):  # objects that this cluster does not have
        pod["spec"].pop(elsewhere, None)
    given = [item for item in (service, job, pod) if item is not None]
    plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(given))
    assert (service is not None) == (stage is Stage.TRAIN and manifest == "gpu-70b")
