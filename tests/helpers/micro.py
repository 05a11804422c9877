"""The micro run on a cluster, for the end-to-end tests."""

from typing import Any

import yaml
from trial.cluster import Cluster
from trial.install import BUCKET, SYSTEM, placed

from helpers.fixtures import MICRO
from selftrain.api.conditions import ConditionType
from selftrain.api.v1alpha1 import SelfTrainRun

INPUTS = f"s3://{BUCKET}/inputs/micro"
NAMESPACE = "selftrain-e2e"


def body(name: str, **changes: Any) -> dict[str, Any]:
    """The micro run on the cluster. Two train pods share two cores, so each is told that it has one."""
    run = yaml.safe_load((MICRO / "run.yaml").read_text().replace("file://MICRO", INPUTS))
    run["metadata"]["name"] = name
    run["spec"]["train"] |= {"nodes": 2, "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}}
    run["spec"] |= changes
    return placed(run, NAMESPACE)


def why(cluster: Cluster) -> str:
    """What the cluster says, for a failed assertion."""
    pods = cluster.kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide")
    operator = cluster.kubectl("-n", SYSTEM, "logs", "deploy/selftrain-controller", "--tail=30")
    return f"{pods}\n{operator}"


def condition(run: SelfTrainRun, kind: ConditionType) -> Any:
    return next(c for c in run.status.conditions if c.type is kind)
