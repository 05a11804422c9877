"""What the demo may do to a cluster that others use, too."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from trial.cluster import Cluster, ClusterError
from trial.install import refuse_foreign


@dataclass(frozen=True)
class Helm(Cluster):
    """A cluster with one release of the name, or none."""

    values: dict[str, Any] | None

    def helm(self, *arguments: str) -> str:
        if arguments[0] == "list":
            return "other\n" if self.values is None else "other\nselftrain\n"
        return json.dumps(self.values)


@pytest.mark.parametrize("values", [{}, {"clusterWide": True, "store": {"secretName": "keys"}}, {"s3": {"enabled": False}}])
def test_a_release_that_is_no_trial_is_left_alone(values: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match="not by a demo"):
        refuse_foreign(Helm("kubectl", "helm", None, values))


@pytest.mark.parametrize("values", [None, {"s3": {"enabled": True}, "namespaces": ["selftrain-demo"]}])
def test_a_trial_may_be_installed_anew(values: dict[str, Any] | None) -> None:
    refuse_foreign(Helm("kubectl", "helm", None, values))
