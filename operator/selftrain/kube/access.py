"""What the operator may do in a cluster: the table that the client is written against and the chart's roles are tested against."""

from dataclasses import dataclass

from selftrain.api.v1alpha1 import GROUP, PLURAL, VERSION


@dataclass(frozen=True)
class Resource:
    """A kind of object in the API, as its address needs it."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Path of the collection or of one object."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"{base}/namespaces/{namespace}" if namespace else base
        return "/".join(part for part in (within, self.plural, name, subresource) if part)


RUNS = Resource(GROUP, VERSION, PLURAL)
JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
LEASES = Resource("coordination.k8s.io", "v1", "leases")


@dataclass(frozen=True)
class Rule:
    """One line of a role."""

    group: str
    resource: str
    verbs: tuple[str, ...]


RUN_RULES = (
    Rule(GROUP, PLURAL, ("get", "list", "watch")),
    Rule(GROUP, f"{PLURAL}/status", ("update",)),
    # Where the admission plugin OwnerReferencesPermissionEnforcement is on (OpenShift), owning a Job asks for this.
    Rule(GROUP, f"{PLURAL}/finalizers", ("update",)),
    Rule("batch", "jobs", ("get", "list", "watch", "create", "delete")),
    Rule("", "pods", ("list",)),
    Rule("", "services", ("get", "create", "patch")),
)
"""In every namespace whose runs the operator looks after."""

LEASE_RULES = (Rule("coordination.k8s.io", "leases", ("get", "create", "update")),)
"""In the operator's own namespace."""
