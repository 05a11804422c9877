"""A cluster to try selftrain on: the embedded one of this machine, or the current kubeconfig context if asked for."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trial.patience import waiting

ROOT = Path(__file__).parents[2]
HACK = ROOT / "hack" / "cluster"
IMAGES = ("controller", "generate", "train", "versitygw")


class ClusterError(Exception):
    """A command against the cluster failed; the message is what it said."""


@dataclass(frozen=True)
class Cluster:
    """kubectl and helm for one kubeconfig; None means the user's own."""

    kubectl_path: str
    helm_path: str
    kubeconfig: Path | None

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed."""
        return self._run([self.kubectl_path, *arguments], stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """The object (or list) that kubectl get prints as JSON."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: dict[str, Any]) -> str:
        """Apply objects, with the API server refusing unknown fields."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", stdin=text)

    def helm(self, *arguments: str) -> str:
        """Run helm and return what it printed."""
        return self._run([self.helm_path, *arguments], None)

    @contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[str]:
        """Reach a Service's port from this machine; yields host:port."""
        command = [self.kubectl_path, "-n", namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                said = process.stdout.readline() if process.stdout else ""
                if not said.startswith("Forwarding from 127.0.0.1:"):
                    raise ClusterError(said)
                yield said.split()[2]
            finally:
                process.kill()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})}

    def _run(self, command: list[str], stdin: str | None) -> str:
        done = subprocess.run(command, env=self._environment, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"{Path(command[0]).name} {' '.join(command[1:4])}: {done.stderr.strip()}"
            raise ClusterError(message)
        return done.stdout


def why_not() -> str | None:
    """Why this machine cannot host the embedded cluster, in one line; None if it can."""
    subprocess.run([HACK / "packages.sh"], check=False, stderr=subprocess.DEVNULL)
    done = subprocess.run([HACK / "can-host.sh"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode else None


def embedded() -> Cluster:
    """The embedded cluster, built and started if need be."""
    subprocess.run([HACK / "packages.sh"], check=True)
    with waiting("building the cluster's programs"):  # the Go compiler says nothing for minutes
        folder = Path(_output(HACK / "build.sh"))
    return Cluster(str(folder / "kubectl"), str(folder / "helm"), Path(_output(HACK / "up.sh")))


def current() -> Cluster:
    """The cluster of the user's current kubeconfig context."""
    paths = [shutil.which(name) for name in ("kubectl", "helm")]
    if paths[0] is None or paths[1] is None:
        message = "kubectl and helm must be in the path for CLUSTER=current"
        raise ClusterError(message)
    return Cluster(paths[0], paths[1], None)


def loaded_images() -> dict[str, str]:
    """Images by name, built and loaded into the embedded cluster."""
    with waiting("building the images"):
        lines = _output(HACK / "images.sh", *IMAGES).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _output(script: Path, *arguments: str) -> str:
    return subprocess.run([script, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
