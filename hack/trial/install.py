"""Install the chart with its trial S3 server, prepare a namespace for runs, and reach the server from this machine."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from trial.cluster import ROOT, Cluster, ClusterError

RELEASE, SYSTEM = "selftrain", "selftrain-system"
SERVICE = "selftrain-s3"
SECRET = "store"  # noqa: S105 - the name of a Secret
BUCKET = "selftrain"
ENDPOINT = f"http://{SERVICE}.{SYSTEM}.svc:7070"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def install(cluster: Cluster, images: dict[str, str], namespace: str) -> None:
    """Install or upgrade the operator and the S3 server, and make `namespace` ready for runs."""
    refuse_foreign(cluster)
    cluster.apply(*(_namespace(name) for name in (SYSTEM, namespace)))
    key = _existing_key(cluster) or secrets.token_hex(20)
    values = {**{f"images.{_value(name)}": reference for name, reference in images.items()}, "s3.secretKey": key}
    flags = [part for name, value in values.items() for part in ("--set-string", f"{name}={value}")]
    cluster.helm(
        "upgrade", "--install", RELEASE, str(ROOT / "charts" / "selftrain"), "--namespace", SYSTEM,
        "--set", "s3.enabled=true", "--set", f"namespaces={{{namespace}}}", *flags, "--wait", "--timeout", "180s",
    )  # fmt: skip
    data = cluster.get("-n", SYSTEM, "secret", SERVICE)["data"]
    chosen = {name: data[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": namespace}, "data": chosen})


def refuse_foreign(cluster: Cluster) -> None:
    """Raise `ClusterError` if there is a release with other values than a trial's: an upgrade would put its own in their place."""
    if RELEASE in cluster.helm("list", "--namespace", SYSTEM, "--short").split():
        values = json.loads(cluster.helm("get", "values", RELEASE, "--namespace", SYSTEM, "--output", "json")) or {}
        if not values.get("s3", {}).get("enabled"):
            message = f"selftrain is installed in {SYSTEM} already, and not by a demo; use another cluster, or uninstall it there first"
            raise ClusterError(message)


@contextmanager
def reachable_store(cluster: Cluster) -> Iterator[str]:
    """The endpoint of the trial server from this machine, with its credentials in the environment and its bucket made."""
    data = cluster.get("-n", SYSTEM, "secret", SERVICE)["data"]
    os.environ |= {name: base64.b64decode(data[name]).decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    with cluster.port_forward(SYSTEM, f"svc/{SERVICE}", 7070) as address:
        endpoint = f"http://{address}"
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
        yield endpoint


def upload(endpoint: str, source: Path, key: str) -> None:
    """Put a file, or the files of a folder, below `key`."""
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    for path in files:
        name = f"{key}/{path.relative_to(source)}" if source.is_dir() else key
        client.upload_file(str(path), BUCKET, name)


def placed(body: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The run in `namespace`, with the trial server as its store."""
    store = {"uri": f"s3://{BUCKET}/runs", "endpoint": ENDPOINT, "credentials": {"secretName": SECRET}}
    return {**body, "metadata": {**body["metadata"], "namespace": namespace}, "spec": {**body["spec"], "store": store}}


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}


def _value(image: str) -> str:
    return "s3" if image == "versitygw" else image


def _existing_key(cluster: Cluster) -> str | None:
    try:
        data = cluster.get("-n", SYSTEM, "secret", SERVICE)["data"]
    except ClusterError:
        return None
    return base64.b64decode(data["AWS_SECRET_ACCESS_KEY"]).decode()
