"""The calls the operator makes: a thin wrapper over the asyncio client of the `kubernetes` package, with plain dictionaries.

Each call is safe to repeat. `Missing`, `Conflict` and `Refused` are answers; any other `ClusterError` is none.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from selftrain.api.names import LABEL_RUN, MANAGED_BY
from selftrain.kube.access import JOBS, LEASES, PODS, RUNS, SERVICES, Resource

Object = dict[str, Any]

TIMEOUT_SECONDS = 30
PAGE = 500
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ClusterError(Exception):
    """The API server did not do what was asked. The caller tries again later."""


class Missing(ClusterError):  # noqa: N818 - names the situation
    """The object does not exist."""


class Refused(ClusterError):  # noqa: N818 - names the situation
    """The call is not allowed as it is: a quota, an admission rule, a missing right, an object that is not ours."""


class Invalid(Refused):
    """The object itself is wrong: asked again, the answer is the same until what it is made from has changed, or a policy has."""


class Conflict(ClusterError):  # noqa: N818 - names the situation
    """Somebody else was faster: it exists already, or has changed since it was read."""


ANSWERS: dict[int, type[ClusterError]] = {400: Refused, 403: Refused, 404: Missing, 409: Conflict, 422: Invalid}


async def connect() -> ApiClient:
    """A client with the pod's own account, or with the current context of the kubeconfig outside of a cluster."""
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)
    return ApiClient(configuration)


class Cluster:
    """Runs, Jobs, pods, Services and Leases."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def run(self, namespace: str, name: str) -> Object | None:
        """The run as stored; None if there is none."""
        try:
            return await self._call("GET", RUNS.path(namespace, name))
        except Missing:
            return None

    async def replace_status(self, run: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """Write the whole status. Raises `Conflict` if the run has changed since it was read, so that no stale word stands."""
        meta = run["metadata"]
        await self._call("PUT", RUNS.path(meta["namespace"], meta["name"], "status"), body={**run, "status": dict(status)})

    async def metadata(self, resource: Resource, namespace: str | None, selector: str = "") -> list[Object]:
        """Metadata of all objects of a kind in one namespace or in all of them."""
        found: list[Object] = []
        query = {"limit": str(PAGE), "labelSelector": selector}
        while True:
            page = await self._call("GET", resource.path(namespace), query, accept=METADATA_ONLY)
            found += [item["metadata"] for item in _items(page)]
            if not page["metadata"].get("continue"):
                return found
            query["continue"] = page["metadata"]["continue"]

    async def jobs(self, namespace: str, run: str) -> list[Object]:
        """All Jobs that carry the run's label."""
        answer = await self._call("GET", JOBS.path(namespace), {"labelSelector": f"{LABEL_RUN}={run}"})
        return _items(answer)

    async def pods(self, namespace: str, job_uid: str) -> list[Object]:
        """Pods of exactly this Job; those of an earlier one of the same name may still be going."""
        answer = await self._call("GET", PODS.path(namespace), {"labelSelector": f"batch.kubernetes.io/controller-uid={job_uid}"})
        return _items(answer)

    async def create_job(self, job: Mapping[str, Any]) -> None:
        """Create a Job; nothing happens if it exists.

        Not server-side apply: a Job that an earlier run of the same name has left would silently be adopted.
        """
        meta = job["metadata"]
        try:
            await self._call("POST", JOBS.path(meta["namespace"]), {"fieldManager": MANAGED_BY}, body=job)
        except Conflict:
            _require_own(await self._call("GET", JOBS.path(meta["namespace"], meta["name"])), job)

    async def apply_service(self, service: Mapping[str, Any]) -> None:
        """Create or correct a Service by server-side apply, unless it belongs to somebody else."""
        meta = service["metadata"]
        query = {"fieldManager": MANAGED_BY, "force": "true"}
        path = SERVICES.path(meta["namespace"], meta["name"])
        with suppress(Missing):
            _require_own(await self._call("GET", path), service)
        await self._call("PATCH", path, query, service, content_type="application/apply-patch+yaml")

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this Job. It stays visible, as being deleted, until its pods have finished their shard."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": uid},
        }
        try:
            await self._call("DELETE", JOBS.path(namespace, name), body=options)
        except (Missing, Conflict):
            return

    async def lease(self, namespace: str, name: str) -> Object | None:
        """The Lease; None if there is none."""
        try:
            return await self._call("GET", LEASES.path(namespace, name))
        except Missing:
            return None

    async def write_lease(self, lease: Mapping[str, Any]) -> Object:
        """Create a Lease, or replace the version that was read. Raises `Conflict` if somebody else was faster."""
        meta = lease["metadata"]
        if "resourceVersion" in meta:
            return await self._call("PUT", LEASES.path(meta["namespace"], meta["name"]), body=lease)
        return await self._call("POST", LEASES.path(meta["namespace"]), body=lease)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> Object:
        headers = {"Accept": accept, "Content-Type": content_type}
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            data: bytes = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"{method} {path}: {error or type(error).__name__}"
            raise ClusterError(message) from error
        if response.status >= 400:  # noqa: PLR2004 - as in RFC 9110
            raise _error(response.status, f"{method} {path}", data)
        answer: Object = json.loads(data)
        return answer


def _items(answer: Object) -> list[Object]:
    """Of a list; an empty one may be null, as that of metadata alone is."""
    return answer["items"] or []


def owner_uid(item: Mapping[str, Any]) -> str | None:
    """The uid of the object that controls this one."""
    owners = item["metadata"].get("ownerReferences", ())
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def _require_own(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `Refused` if the object of that name is another owner's."""
    if owner_uid(existing) != owner_uid(wanted):
        message = f"{wanted['kind'].lower()} {wanted['metadata']['name']} exists and does not belong to this run"
        raise Refused(message)


def _error(status: int, what: str, data: bytes) -> ClusterError:
    try:
        words = json.loads(data).get("message", "")
    except ValueError:
        words = ""  # a proxy in between answers in HTML
    kind = ANSWERS.get(status, ClusterError)
    return kind(f"{what}: {status} {words}")
