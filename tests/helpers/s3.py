"""S3 servers for tests, on loopback and gone afterwards: versitygw from the cluster's binaries, ministack from PyPI."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

ACCESS_KEY = "selftrain-tests"
SECRET_KEY = "a-secret-that-must-not-be-shown"
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server."""

    endpoint: str

    def make_bucket(self, name: str) -> None:
        session = boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1")
        session.client("s3", endpoint_url=self.endpoint).create_bucket(Bucket=name)


def find_binary(name: str) -> Path:
    """A binary of the embedded cluster: from SELFTRAIN_BIN, or from the newest folder in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftrain"
    folders = sorted(cache.glob("bin-*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    if chosen := os.environ.get("SELFTRAIN_BIN"):
        folders = [Path(chosen)]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    message = f"{name} is not built: run hack/cluster/build.sh, or set SELFTRAIN_BIN to the folder that holds it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def versitygw(folder: Path) -> Iterator[Server]:
    """The server of the chart's trial store, with its POSIX backend."""
    port = _free_port()
    data = folder / "data"
    data.mkdir()
    command = [find_binary("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "posix", *_metadata_flags(folder), data]
    environment = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with _running(command, environment, port, folder / "log"):
        yield Server(f"http://127.0.0.1:{port}")


@contextmanager
def ministack(folder: Path) -> Iterator[Server]:
    """An S3 server in Python. It takes any credentials."""
    port = _free_port()
    environment = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3", "HOME": str(folder), "TMPDIR": str(folder)}
    with _running([sys.executable, "-m", "ministack"], environment, port, folder / "log"):
        yield Server(f"http://127.0.0.1:{port}")


@contextmanager
def _running(command: Sequence[str | Path], environment: Mapping[str, str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=log.parent, stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the S3 server did not start: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _metadata_flags(folder: Path) -> list[str | Path]:
    """Metadata beside the files where the file system has no extended attributes, as in some build containers."""
    try:
        os.setxattr(folder, "user.selftrain", b"1")
    except OSError:
        sidecar = folder / "metadata"
        sidecar.mkdir()
        return ["--sidecar", sidecar]
    return []
