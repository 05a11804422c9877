"""From the pydantic types to a CustomResourceDefinition with a structural schema. Pure; `selftrain.codegen` writes it to files.

The JSON schema that pydantic makes is refused by the API server in many details (`anyOf` with null, `const`, numeric exclusive
bounds, `propertyNames`), so it is rewritten node by node into the subset that is allowed.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel

from selftrain.api.pods import PodSettings
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import (
    FITTING,
    GROUP,
    KIND,
    MUTABLE,
    NAME_LIMIT,
    PLURAL,
    RULES,
    VERSION,
    WHERE_NOT_WHAT,
    SelfTrainRun,
    Spec,
)

Node = dict[str, Any]

DROPPED = frozenset({"title", "discriminator", "$defs", "propertyNames"})

COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Status", "string", '.status.conditions[?(@.type=="Progressing")].reason', 0),
    ("Iteration", "string", ".status.progress", 0),
    ("Stage", "string", ".status.stage", 0),
    ("Score", "string", ".status.score", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Progressing")].message', 1),
    ("Checkpoint", "string", ".status.checkpoint", 1),
)
"""Name, type, path and priority of what `kubectl get` shows; priority 1 is for `-o wide`."""

LOCAL_ONLY: tuple[tuple[str, str], ...] = tuple(
    (rule, f"{field}: file:// is for selftrain local only; a pod reads from s3://, hf:// or pvc://")
    for field, rule in (
        ("store.uri", "!self.store.uri.startsWith('file:')"),
        ("model.uri", "!self.model.uri.startsWith('file:')"),
        ("generator.uri", "!has(self.generator) || !self.generator.uri.startsWith('file:')"),
        ("weaker.uri", "!has(self.weaker) || !self.weaker.uri.startsWith('file:')"),
        ("instructions.uri", "!has(self.instructions) || !self.instructions.uri.startsWith('file:')"),
        ("labelled.uri", "!has(self.labelled) || !self.labelled.uri.startsWith('file:')"),
        ("evaluate.benchmarks", "self.evaluate.benchmarks.all(b, !b.uri.startsWith('file:'))"),
    )
)
"""Rules for the API server alone: a pod has no files of the machine that the manifest was written on."""


def custom_resource_definition() -> Node:
    """The whole CRD."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
        "schema": {"openAPIV3Schema": schema()},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["strun"],
            },
            "versions": [version],
        },
    }


def schema() -> Node:
    """The structural schema of a SelfTrainRun."""
    raw = SelfTrainRun.model_json_schema(by_alias=True)
    properties = {name: structural(node, raw["$defs"]) for name, node in raw["properties"].items()}
    for name in ("apiVersion", "kind"):  # the API server checks these itself
        properties[name] = {"type": "string", "description": properties[name].get("description", f"{name} as in every resource.")}
    properties["metadata"] = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": NAME_LIMIT, "pattern": _name_pattern(raw)}},
    }
    properties["spec"] = _with_rules(properties["spec"])
    properties["status"] = _without_defaults(properties["status"])
    return {"type": "object", "description": raw["description"], "required": ["spec"], "properties": properties}


def structural(node: Node, defs: Mapping[str, Node]) -> Node:
    """Rewrite one JSON-schema node into the subset the API server accepts."""
    if "$ref" in node:  # the field's own description wins over the type's
        target = defs[node["$ref"].removeprefix("#/$defs/")]
        return structural({**target, **{key: value for key, value in node.items() if key != "$ref"}}, defs)
    if "anyOf" in node:  # `T | None` only; a true union fails here, on purpose
        [variant] = [variant for variant in node["anyOf"] if variant != {"type": "null"}]
        return structural({**variant, **{key: value for key, value in node.items() if key != "anyOf"}}, defs)
    out: Node = {}
    for key, value in node.items():
        out |= _keyword(key, value, defs)
    if out.get("type") == "object" and "properties" in out and "default" in out:
        out["default"] = {}  # the API server fills in the defaults of the properties
    if out.get("type") == "array":
        out.setdefault("x-kubernetes-list-type", "atomic")
    if "propertyNames" in node:
        limit = node["propertyNames"]["maxLength"]
        out["x-kubernetes-validations"] = [
            {"rule": f"self.all(key, size(key) <= {limit})", "message": f"keys have at most {limit} characters"}
        ]
    return out


def _keyword(key: str, value: Any, defs: Mapping[str, Node]) -> Node:
    match key:
        case key if key in DROPPED:
            return {}
        case "additionalProperties" if value is False:
            return {}  # not allowed beside `properties`; unknown fields are refused by field validation
        case "default" if value is None:
            return {}
        case "const":
            return {"enum": [value]}
        case "properties":
            return {key: {name: structural(child, defs) for name, child in value.items()}}
        case "items" | "additionalProperties":
            return {key: structural(value, defs)}
        case _:
            return {key: value}


def _with_rules(spec: Node) -> Node:
    """Rules across fields, and immutability of everything that is not in MUTABLE, or in a stage WHERE_NOT_WHAT or FITTING."""
    rules: list[Node] = [{"rule": rule.cel, "message": rule.message} for rule in RULES]
    rules += [{"rule": rule, "message": message} for rule, message in LOCAL_ONLY]
    stages = {name: field for name, field in Spec.model_fields.items() if name in set(Stage)}
    frozen = _frozen(spec, Spec, MUTABLE | stages.keys())
    properties: Node = dict(frozen["properties"])
    for name, field in stages.items():
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, PodSettings)  # noqa: S101, PT018 - as all stages are
        properties[name] = _frozen(properties[name], model, WHERE_NOT_WHAT | FITTING)
    grow = {"rule": "self >= oldSelf", "message": "iterations may only grow"}
    properties["iterations"] = {**properties["iterations"], "x-kubernetes-validations": [grow]}
    return {**frozen, "properties": properties, "x-kubernetes-validations": rules + frozen["x-kubernetes-validations"]}


def _frozen(node: Node, model: type[BaseModel], mutable: AbstractSet[str]) -> Node:
    """A type's node with all of its fields immutable but some.

    A transition rule on a field is skipped when the field appears or vanishes, so optional ones are watched from the whole.
    """
    rules: list[Node] = [*node.get("x-kubernetes-validations", ())]
    properties: Node = dict(node["properties"])
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        message = f"{name} is immutable; start a new run instead"
        if attribute in mutable:
            continue
        if field.is_required() or field.default is not None:
            own = properties[name].get("x-kubernetes-validations", ())
            properties[name] = {**properties[name], "x-kubernetes-validations": [*own, {"rule": "self == oldSelf", "message": message}]}
        else:
            same = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
            rules.append({"rule": same, "message": message, "fieldPath": f".{name}"})
    return {**node, "properties": properties, "x-kubernetes-validations": rules}


def _without_defaults(node: Node) -> Node:
    """The status is written as a whole by the operator; defaults would put words in its mouth."""
    out = {key: value for key, value in node.items() if key != "default"}
    if "properties" in out:
        out["properties"] = {name: _without_defaults(child) for name, child in out["properties"].items()}
    if "items" in out:
        out["items"] = _without_defaults(out["items"])
    return out


def _name_pattern(raw: Node) -> str:
    pattern: str = raw["$defs"]["Metadata"]["properties"]["name"]["pattern"]
    return pattern


def _column(name: str, kind: str, path: str, priority: int) -> Node:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
