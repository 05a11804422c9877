"""From a work order to the Job that does it. Pure: the same order gives the same manifest.

Failures sort themselves by exit code (`api.errors.ExitCode`): the author's stop the Job at once, disruptions and drains
are not counted, everything else is retried within the budget of the pod's index.
"""

from dataclasses import dataclass
from typing import Any

from selftrain.api.errors import ExitCode
from selftrain.api.names import LABEL_MANAGED_BY, LABEL_RUN, LABEL_STAGE, MANAGED_BY, job_name, labels, rendezvous_service
from selftrain.api.pods import PodSettings
from selftrain.api.records import Work
from selftrain.api.stages import SHARDED_STAGES, Stage
from selftrain.api.v1alpha1 import GROUP, KIND, VERSION, Metadata
from selftrain.kube.pods import Images, Manifest, pod_spec

RENDEZVOUS_PORT = 29500
FAILURE_POLICY: Manifest = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [int(ExitCode.USER)]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [int(ExitCode.DRAINED)]}},
    ]
}


@dataclass(frozen=True)
class Defaults:
    """What the chart says about pods."""

    images: Images
    pods: PodSettings


def objects_of(work: Work, defaults: Defaults) -> tuple[Manifest | None, Manifest]:
    """The Service that training pods find each other by, where there are several, and the Job."""
    together = work.stage is Stage.TRAIN and work.pods > 1
    return (_service(work.run) if together else None), _job(work, defaults, together=together)


def _job(work: Work, defaults: Defaults, *, together: bool) -> Manifest:
    name = job_name(work.run.name, work.step, work.attempt)
    marks = labels(work.run.name, work.step, work.attempt)
    service = rendezvous_service(work.run.name)
    address = {"name": "SELFTRAIN_RENDEZVOUS", "value": f"{name}-0.{service}:{RENDEZVOUS_PORT}"}
    pod = pod_spec(work, work.pod_settings.over(defaults.pods), defaults.images.of(work.stage), extra=[address] if together else [])
    if together:
        pod["subdomain"] = service
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": work.run.namespace,
            "labels": marks,
            "ownerReferences": [owner(work.run)],
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": work.pods,
            "parallelism": work.pods,
            **_budget(work),
            "podFailurePolicy": FAILURE_POLICY,
            "podReplacementPolicy": "Failed",  # two pods of one index would do the same shards
            "activeDeadlineSeconds": work.spec.deadlines.stage_seconds,
            "ttlSecondsAfterFinished": work.spec.ttl_seconds_after_finished,
            "template": {"metadata": {"labels": marks}, "spec": pod},
        },
    }


def _budget(work: Work) -> Manifest:
    """Shards are independent, so each index has a budget of its own; training stands or falls as a whole.

    There one failure takes all pods along, since their ranks miss each other.
    """
    budget = work.spec.retries.pod_failures
    return {"backoffLimitPerIndex": budget} if work.stage in SHARDED_STAGES else {"backoffLimit": (budget + 1) * work.pods - 1}


def _service(run: Metadata) -> Manifest:
    """One for all training Jobs of a run: pods have names of their own in it. It opens no port, it only makes names."""
    selector = {LABEL_RUN: run.name, LABEL_STAGE: str(Stage.TRAIN)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": rendezvous_service(run.name),
            "namespace": run.namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_RUN: run.name},
            "ownerReferences": [owner(run)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": selector,
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT, "protocol": "TCP"}],
            "publishNotReadyAddresses": True,  # ranks wait for each other before any of them is ready
        },
    }


def owner(run: Metadata) -> dict[str, Any]:
    """The reference by which everything a run made goes when it goes."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": run.name,
        "uid": run.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
