"""How the pods of a stage are placed and equipped: an allow list of the pod spec, never the whole of it."""

from typing import Annotated, Literal

from pydantic import Field

from selftrain.api.base import ApiModel, DnsLabel, DnsName, KeyedBy, Quantity

Label = Annotated[str, Field(max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]
GRACE_SECONDS = 120
"""What cloud providers give before they take a node back."""
QuantityMap = Annotated[dict[Label, Quantity], Field(max_length=16)]


class Resources(ApiModel):
    """Requests and limits of one pod. GPUs go here, for example `nvidia.com/gpu: "8"` in limits."""

    requests: QuantityMap = {}
    """Resources set aside for the pod."""
    limits: QuantityMap = {}
    """Resources the pod may not exceed."""


class Toleration(ApiModel):
    """One taint the pods tolerate, as in core/v1."""

    key: Label | None = None
    """Taint key; absent means all keys."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How the value is compared."""
    value: LabelValue | None = None
    """Taint value for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect to tolerate; absent means all effects."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds a pod stays on a node tainted NoExecute."""


class Expression(ApiModel):
    """One requirement on a label, as in core/v1."""

    key: Label
    """Label key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the label is compared."""
    values: Annotated[list[LabelValue], Field(max_length=32)] = []
    """Values for In, NotIn, Gt and Lt."""


Expressions = Annotated[list[Expression], Field(max_length=16)]


class NodeTerm(ApiModel):
    """A node matches when all of its expressions do."""

    match_expressions: Expressions = []
    """Requirements on node labels."""
    match_fields: Expressions = []
    """Requirements on node fields."""


class NodeTerms(ApiModel):
    """A node matches when one of the terms does."""

    node_selector_terms: Annotated[list[NodeTerm], Field(min_length=1, max_length=8)]
    """Terms, of which one has to match."""


class PreferredNode(ApiModel):
    """A wish for a kind of node."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """How strong the wish is, 1 to 100."""
    preference: NodeTerm
    """The nodes wished for."""


class NodeAffinity(ApiModel):
    """Which nodes the pods may and should run on."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = None
    """Nodes that are allowed at all."""
    preferred_during_scheduling_ignored_during_execution: Annotated[list[PreferredNode], Field(max_length=8)] = []
    """Nodes that are better than others."""


class LabelSelector(ApiModel):
    """Selects pods by label."""

    match_labels: Annotated[dict[Label, LabelValue], Field(max_length=16)] = {}
    """Labels with exactly these values."""
    match_expressions: Expressions = []
    """Further requirements."""


class PodTerm(ApiModel):
    """Pods near which (or away from which) to run."""

    label_selector: LabelSelector | None = None
    """The pods meant."""
    topology_key: Label
    """Node label that says what near means."""


class PreferredPods(ApiModel):
    """A wish about nearness to pods."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """How strong the wish is, 1 to 100."""
    pod_affinity_term: PodTerm
    """The pods meant."""


class PodAffinity(ApiModel):
    """Nearness to pods; also the shape of its opposite."""

    required_during_scheduling_ignored_during_execution: Annotated[list[PodTerm], Field(max_length=8)] = []
    """Must hold when the pod is placed."""
    preferred_during_scheduling_ignored_during_execution: Annotated[list[PreferredPods], Field(max_length=8)] = []
    """Should hold when the pod is placed."""


class Affinity(ApiModel):
    """Scheduling constraints, as in core/v1."""

    node_affinity: NodeAffinity | None = None
    """Which nodes."""
    pod_affinity: PodAffinity | None = None
    """Near which pods."""
    pod_anti_affinity: PodAffinity | None = None
    """Away from which pods."""


class CacheVolume(ApiModel):
    """A volume kept for caches. A claim outlives the pod; without one it is scratch space.

    Engines keep what they compile in /scratch/cache, so that is where a claim saves time. Models are fetched by every pod.
    """

    name: DnsLabel
    """Name of the volume in the pod."""
    mount_path: Annotated[str, Field(pattern=r"^/[^:]*$", max_length=255)]
    """Where it appears."""
    claim_name: DnsName | None = None
    """PersistentVolumeClaim in the run's namespace; absent means an emptyDir."""
    size_limit: Quantity | None = None
    """Limit of the emptyDir."""


class PodSettings(ApiModel):
    """Settings of a stage's pods. A stage's own value wins over `spec.pods`, which wins over the chart's."""

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Container image; absent means the chart's image for the stage."""
    resources: Resources | None = None
    """Requests and limits of one pod."""
    service_account_name: DnsName | None = None
    """Identity of the pods, for example one with a cloud role on the bucket. Its API token is never mounted."""
    node_selector: Annotated[dict[Label, LabelValue], Field(max_length=16)] | None = None
    """Labels a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    """Taints the pods tolerate."""
    affinity: Affinity | None = None
    """Scheduling constraints."""
    priority_class_name: DnsName | None = None
    """Priority of the pods."""
    runtime_class_name: DnsName | None = None
    """Container runtime, for example nvidia."""
    image_pull_secrets: Annotated[list[DnsName], Field(max_length=8)] | None = None
    """Names of Secrets with registry credentials."""
    caches: Annotated[list[CacheVolume], Field(max_length=8), KeyedBy("name")] | None = None
    """Volumes for caches."""
    scratch_size: Quantity | None = None
    """Limit of the scratch volume, where models are downloaded to."""
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """Seconds a stopped pod may take to finish its shard, or to store the state of a training; absent means 120. A large
    model's state takes longer: what was trained after the state before it is then done again."""

    @property
    def grace_seconds(self) -> int:
        """How long a stopped pod may take."""
        return self.termination_grace_period_seconds or GRACE_SECONDS

    def over(self, base: "PodSettings") -> "PodSettings":
        """These settings, with `base` where nothing is set here."""
        own = {name: getattr(self, name) for name in PodSettings.model_fields if getattr(self, name) is not None}
        inherited = {name: getattr(base, name) for name in PodSettings.model_fields}
        return PodSettings(**{**inherited, **own})
