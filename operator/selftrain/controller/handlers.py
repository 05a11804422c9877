"""What kopf calls: nothing but wake-ups. Without create and update handlers, timers and daemons kopf writes nothing at all."""

from typing import Any

import kopf

from selftrain.api.names import LABEL_MANAGED_BY, LABEL_RUN, MANAGED_BY
from selftrain.api.v1alpha1 import GROUP, PLURAL, VERSION
from selftrain.controller.watch import Resync
from selftrain.controller.work_queue import Key, WorkQueue


def registry(queue: WorkQueue, resync: Resync) -> kopf.OperatorRegistry:
    """Handlers for runs and for their Jobs."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - passed on to kopf
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def run_changed(event: kopf.RawEvent, meta: kopf.Meta, **_: object) -> None:
        resync.runs.told(dict(meta), gone=event["type"] == "DELETED")
        queue.add(Key(meta["namespace"], meta["name"]))

    @kopf.on.event("batch", "v1", "jobs", labels={LABEL_MANAGED_BY: MANAGED_BY, LABEL_RUN: kopf.PRESENT}, registry=handlers)
    async def job_changed(event: kopf.RawEvent, meta: kopf.Meta, **_: object) -> None:
        resync.jobs.told(dict(meta), gone=event["type"] == "DELETED")
        queue.add(Key(meta["namespace"], meta.labels[LABEL_RUN]))

    return handlers


def kopf_settings() -> kopf.OperatorSettings:
    """Limits where kopf has none, and none of the rights that only its conveniences need."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # would watch namespaces and CRDs of the whole cluster
    settings.posting.enabled = False  # conditions say everything, so the operator needs no right to write Events
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 30
    settings.watching.inactivity_timeout = 70  # bookmarks come once a minute
    settings.watching.label_selectors["batch", "v1", "jobs"] = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_RUN}"
    settings.networking.request_timeout = 30
    settings.networking.enforce_retry_after = True
    settings.queueing.worker_limit = 50
    settings.queueing.idle_timeout = 0.1  # else each object told holds one of these for 5 s, and 10 objects a second are told
    return settings
