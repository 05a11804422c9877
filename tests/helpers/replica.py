"""The operator as a process of its own, with the environment and the rights that the chart gives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from helpers.control_plane import ControlPlane, free_ports
from helpers.s3 import ACCESS_KEY, SECRET_KEY

ROOT = Path(__file__).parents[2]
ACCOUNT = "st-controller"


def install(plane: ControlPlane, namespace: str, *values: str) -> dict[str, str]:
    """Apply the chart's roles; returns the environment of the operator's container."""
    arguments = ("template", "st", str(ROOT / "charts" / "selftrain"), "--namespace", namespace, "--set", "crds.enabled=false", *values)
    objects = [item for item in yaml.safe_load_all(plane.run("helm", *arguments).stdout) if item]
    kept = [item for item in objects if item["kind"] != "Deployment"]
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(kept))
    [deployment] = [item for item in objects if item["kind"] == "Deployment"]
    return {entry["name"]: entry.get("value", "") for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}


class Operator:
    """One replica."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process = process
        self.log = log
        self.port = port

    @property
    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def kill(self) -> None:
        """As a node failure would: no tidying up, the Lease stays."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As a rollout would."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@contextmanager
def operator(plane: ControlPlane, namespace: str, environment: dict[str, str], identity: str = "pod-1") -> Iterator[Operator]:
    """Start a replica; it is gone at the end."""
    [port] = free_ports(1)
    given = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SELFTRAIN_", "AWS_"))},
        **environment,
        "SELFTRAIN_OWN_NAMESPACE": namespace,
        "SELFTRAIN_IDENTITY": identity,
        "SELFTRAIN_HEALTH_PORT": str(port),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "KUBECONFIG": str(plane.kubeconfig_of(namespace, ACCOUNT)),
        "PYTHONPATH": str(ROOT / "operator"),
    }
    log = plane.folder / f"{namespace}-{identity}.log"
    with log.open("ab") as output:
        command = [sys.executable, "-m", "selftrain.controller"]
        process = subprocess.Popen(command, env=given, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield Operator(process, log, port)
    finally:
        process.kill()
        process.wait()


def finish_job(plane: ControlPlane, namespace: str, name: str, *, failed: str = "") -> None:
    """End a Job as the Job controller would, which does not run here."""
    times = {"startTime": "2026-01-01T00:00:00Z"}
    moment = {"status": "True", "lastProbeTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    first, second = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
    conditions = [{"type": kind, "reason": failed or "Done", "message": "", **moment} for kind in (first, second)]
    counts: dict[str, Any] = {"failed": 1}
    if not failed:
        counts = {"succeeded": 1, "completedIndexes": "0", "completionTime": "2026-01-01T00:00:01Z"}
    _patch(plane, namespace, name, {**times, **counts, "active": 0, "ready": 0, "conditions": conditions, "uncountedTerminatedPods": {}})


def run_job(plane: ControlPlane, namespace: str, name: str) -> None:
    """Let the pods of a Job run."""
    _patch(plane, namespace, name, {"startTime": "2026-01-01T00:00:00Z", "active": 1, "ready": 1})


def _patch(plane: ControlPlane, namespace: str, name: str, status: dict[str, Any]) -> None:
    change = yaml.safe_dump({"status": status})
    plane.kubectl("patch", "-n", namespace, "job", name, "--subresource=status", "--type=merge", "-p", change)
