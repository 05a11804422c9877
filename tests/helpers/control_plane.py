"""A real API server for tests: etcd and kube-apiserver on loopback, in a scratch folder, without root and without a node."""

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import yaml

from helpers.s3 import find_binary

TOKEN = "administrator"
START_SECONDS = 60
AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata, userGroups: ["system:serviceaccounts"]}, {level: None}]
"""


@dataclass(frozen=True)
class ControlPlane:
    """Where the server listens and how to talk to it."""

    url: str
    kubeconfig: Path
    bin: Path
    folder: Path

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl against the server as its administrator."""
        return self.run("kubectl", "--kubeconfig", str(self.kubeconfig), *arguments, stdin=stdin, check=check)

    def run(self, binary: str, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of the cluster's binaries."""
        done = subprocess.run([self.bin / binary, *arguments], input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done

    def kubeconfig_of(self, namespace: str, account: str) -> Path:
        """A kubeconfig with the rights of a service account."""
        token = self.kubectl("create", "token", account, "-n", namespace).stdout.strip()
        return _kubeconfig(self.folder, self.url, token, f"{namespace}-{account}.kubeconfig")

    def calls(self, namespace: str, account: str) -> list[dict[str, Any]]:
        """Every request a service account has made so far, from the audit log."""
        user = f"system:serviceaccount:{namespace}:{account}"
        events = [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]
        return [event for event in events if event["user"]["username"] == user]

    def get(self, namespace: str, *what: str) -> dict[str, Any]:
        """An object or a list as JSON."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "-n", namespace, *what, "-o", "json").stdout)
        return found


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Start the servers, wait until they are ready, and stop them at the end."""
    bin_folder = find_binary("kube-apiserver").parent
    client, peer, secure = free_ports(3)
    subprocess.run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"], check=True, capture_output=True)
    (folder / "audit.yaml").write_text(AUDIT_POLICY)
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    etcd = [
        *(bin_folder / "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync", "--log-level", "error"),
        *("--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls", f"http://127.0.0.1:{client}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
    ]
    api_server = [
        *(bin_folder / "kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{client}", "--bind-address", "127.0.0.1"),
        *("--secure-port", str(secure), "--cert-dir", folder / "pki", "--token-auth-file", folder / "tokens.csv"),
        *("--service-account-key-file", folder / "sa.key", "--service-account-signing-key-file", folder / "sa.key"),
        *("--service-account-issuer", "https://kubernetes.default.svc", "--authorization-mode", "RBAC"),
        *("--service-cluster-ip-range", "10.96.0.0/24", "--disable-admission-plugins", "ServiceAccount"),
        *("--audit-policy-file", folder / "audit.yaml", "--audit-log-path", folder / "audit.log"),
    ]
    url = f"https://127.0.0.1:{secure}"
    with _running(etcd, folder / "etcd.log"), _running(api_server, folder / "apiserver.log"):
        _wait_ready(url, folder / "pki" / "apiserver.crt")
        yield ControlPlane(url, _kubeconfig(folder, url, TOKEN), bin_folder, folder)


@contextmanager
def _running(command: list[str | Path], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(url: str, certificate: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            context = ssl.create_default_context(cafile=str(certificate))
            request = Request(f"{url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
            with urlopen(request, context=context, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    message = f"the API server was not ready within {START_SECONDS} s; its log is in {certificate.parent.parent}"
    raise AssertionError(message)


def _kubeconfig(folder: Path, url: str, token: str, name: str = "kubeconfig") -> Path:
    cluster = {"server": url, "certificate-authority": str(folder / "pki" / "apiserver.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
    path = folder / name
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return [found.getsockname()[1] for found in sockets]
    finally:
        for found in sockets:
            found.close()
