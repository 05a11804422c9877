"""The pod of a stage as a manifest. Pure. Every pod passes the restricted Pod Security level."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.names import GENERATOR_HUB_TOKEN, HUB_TOKEN, WEAKER_HUB_TOKEN
from selftrain.api.pods import PodSettings
from selftrain.api.records import Work
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import Spec

Manifest = dict[str, Any]

ENVIRONMENT_LIMIT = 131_072 - 64
"""Longest text of one environment variable that Linux starts a process with, less its name."""
USER = 10001
"""User and group of the images. Volumes for caches belong to this group, so that every stage can write them."""
SCRATCH = "/scratch"
CLAIMS = "/mnt/pvc"
PATHS = {"scratch": SCRATCH, "tmp": "/tmp", "shm": "/dev/shm"}  # noqa: S108 - in the pod, an emptyDir of its own


@dataclass(frozen=True)
class Images:
    """The chart's images."""

    controller: str
    generate: str
    train: str

    def of(self, stage: Stage) -> str:
        """Selecting is table work, which the small image can do; sampling stages share the one with vLLM."""
        match stage:
            case Stage.SELECT:
                return self.controller
            case Stage.TRAIN:
                return self.train
            case Stage.GENERATE | Stage.JUDGE | Stage.EVALUATE:
                return self.generate


def pod_spec(work: Work, settings: PodSettings, image: str, extra: Iterable[Manifest] = ()) -> Manifest:
    """The pod. `extra` are further environment variables."""
    mounts = [{"name": name, "mountPath": path} for name, path in PATHS.items()]
    claims = _claims(work.spec)
    caches = settings.caches or []
    container: Manifest = {
        "name": "worker",
        "image": settings.image or image,
        "command": ["python", "-m", "selftrain.workers"],
        "env": [*_environment(work), *extra],
        "volumeMounts": [
            *mounts,
            *({"name": f"cache-{cache.name}", "mountPath": cache.mount_path} for cache in caches),
            *({"name": f"claim-{n}", "mountPath": f"{CLAIMS}/{claim}", "readOnly": True} for n, claim in enumerate(claims)),
        ],
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if settings.resources is not None:
        container["resources"] = settings.resources.model_dump(mode="json", by_alias=True)
    return {
        "restartPolicy": "Never",  # the Job's failure policy reads exit codes, which a restart in place would hide
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a Service called "vllm" would set VLLM_PORT, which vLLM takes for its own
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [*_scratch(settings), *_caches(settings), *_claim_volumes(claims)],
        **_placement(settings),
    }


def _environment(work: Work) -> list[Manifest]:
    """The work order, and credentials by reference: they are never part of it."""
    order = work.model_dump_json(by_alias=True, exclude_none=True)
    if len(order.encode()) > ENVIRONMENT_LIMIT:
        message = f"spec: the work order has {len(order.encode()):,} bytes, more than the {ENVIRONMENT_LIMIT:,} that Linux allows"
        raise UserError(Reason.INVALID_SPEC, message, "shorten the templates in spec.prompts")
    plain = {
        "SELFTRAIN_WORK": order.replace("$", "$$"),  # $(NAME) in a template is text, not for Kubernetes to fill in
        "SELFTRAIN_SCRATCH": SCRATCH,
        "HOME": "/tmp",  # noqa: S108 - the root file system is read-only
    }
    variables: list[Manifest] = [{"name": name, "value": value} for name, value in plain.items()]
    credentials = work.spec.store.credentials
    if credentials is not None:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        variables += [_secret(key, credentials.secret_name, key) for key in keys]
    return variables + _hub_tokens(work.spec)


def _hub_tokens(spec: Spec) -> list[Manifest]:
    models = {HUB_TOKEN: spec.model, GENERATOR_HUB_TOKEN: spec.generator, WEAKER_HUB_TOKEN: spec.weaker}
    tokens = {name: model.token_secret for name, model in models.items() if model is not None}
    return [_secret(name, token.secret_name, token.key) for name, token in tokens.items() if token is not None]


def _secret(name: str, secret: str, key: str) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _claims(spec: Spec) -> list[str]:
    """Claims named by any input. All stages mount them, since the first one checks all inputs."""
    inputs = (spec.model, spec.generator, spec.weaker, spec.instructions, spec.labelled, *spec.evaluate.benchmarks)
    uris = [source.uri for source in inputs if source is not None]
    return sorted({urlsplit(uri).netloc for uri in uris if uri.startswith("pvc://")})


def _scratch(settings: PodSettings) -> list[Manifest]:
    limit = {"sizeLimit": settings.scratch_size} if settings.scratch_size else {}
    return [
        {"name": "scratch", "emptyDir": limit},
        {"name": "tmp", "emptyDir": {}},
        # Ranks and engines exchange tensors through it. No limit of its own: it counts as the pod's memory.
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]


def _caches(settings: PodSettings) -> list[Manifest]:
    volumes: list[Manifest] = []
    for cache in settings.caches or []:
        limit = {"sizeLimit": cache.size_limit} if cache.size_limit else {}
        claim = {"persistentVolumeClaim": {"claimName": cache.claim_name}}
        volumes.append({"name": f"cache-{cache.name}", **(claim if cache.claim_name else {"emptyDir": limit})})
    return volumes


def _claim_volumes(claims: list[str]) -> list[Manifest]:
    return [
        {"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}} for number, claim in enumerate(claims)
    ]


def _placement(settings: PodSettings) -> Manifest:
    """Scheduling passthrough. The names are those of the pod spec on purpose."""
    passed = {
        "service_account_name",
        "node_selector",
        "tolerations",
        "affinity",
        "priority_class_name",
        "runtime_class_name",
    }
    placement: Manifest = settings.model_dump(mode="json", by_alias=True, exclude_none=True, include=passed)
    if settings.image_pull_secrets is not None:
        placement["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return placement
