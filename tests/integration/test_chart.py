"""The chart, rendered by Helm, in front of a real API server."""

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from helpers.control_plane import ControlPlane

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "selftrain"
VARIANTS = {
    "default": [],
    "cluster-wide": ["--set", "clusterWide=true"],
    "trial-store": ["--set", "s3.enabled=true,s3.secretKey=x"],
    "trial-store-kept": ["--set", "s3.enabled=true,s3.secretName=given,s3.size=1Gi,s3.storageClassName=fast"],
    "own-store": ["--set", "store.secretName=bucket,operator.replicas=2,operator.priorityClassName=system-cluster-critical"],
    "no-crd": ["--set", "crds.enabled=false,images.pullSecrets={registry}"],
}


def helm(plane: ControlPlane, *arguments: str, check: bool = True) -> CompletedProcess[str]:
    return plane.run("helm", *arguments, check=check)


def render(plane: ControlPlane, namespace: str, *arguments: str) -> str:
    return helm(plane, "template", "st", str(CHART), "--namespace", namespace, *arguments).stdout


def objects(text: str, kind: str) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(text) if item and item["kind"] == kind]


@pytest.mark.parametrize("values", VARIANTS.values(), ids=list(VARIANTS))
def test_everything_is_accepted_strictly(plane: ControlPlane, namespace: str, values: list[str]) -> None:
    text = render(plane, namespace, *values)
    plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=_without_crd(text))


@pytest.mark.parametrize("values", VARIANTS.values(), ids=list(VARIANTS))
def test_pods_pass_the_restricted_level(plane: ControlPlane, namespace: str, values: list[str]) -> None:
    plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    deployments = objects(render(plane, namespace, *values), "Deployment")
    assert deployments
    for deployment in deployments:
        template = deployment["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace}, "spec": template["spec"]}
        pod["spec"].pop("priorityClassName", None)
        plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))


def test_the_crd_is_the_generated_one(plane: ControlPlane) -> None:
    [rendered] = objects(render(plane, "x"), "CustomResourceDefinition")
    generated = yaml.safe_load((ROOT / "crds" / "selftrainruns.yaml").read_text())
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered == generated
    assert not objects(render(plane, "x", "--set", "crds.enabled=false"), "CustomResourceDefinition")


def test_each_namespace_gets_a_role_and_no_cluster_role_is_made(plane: ControlPlane) -> None:
    text = render(plane, "sys", "--set", "namespaces={a,b}")
    assert {role["metadata"]["namespace"] for role in objects(text, "Role")} == {"a", "b", "sys"}
    assert not objects(text, "ClusterRole")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["--set", "imagez.train=x"], "imagez"),
        (["--set", "operator.workers=0"], "workers"),
        (["--set", "s3.enabled=true"], "s3.secretKey is required"),
    ],
)
def test_wrong_values_are_refused(plane: ControlPlane, values: list[str], message: str) -> None:
    refused = helm(plane, "template", "st", str(CHART), *values, check=False)
    assert refused.returncode != 0
    assert message in refused.stderr


def test_it_lints(plane: ControlPlane) -> None:
    helm(plane, "lint", "--strict", str(CHART))


def _without_crd(text: str) -> str:
    return yaml.safe_dump_all([i for i in yaml.safe_load_all(text) if i and i["kind"] != "CustomResourceDefinition"])
