"""The schema the API server gets: structural, bounded, described, closed in what may change."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic.alias_generators import to_camel

from helpers.fixtures import RUNS
from selftrain.api.crd import COLUMNS, custom_resource_definition, schema, structural
from selftrain.api.load import run_of
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import FITTING, MUTABLE, RULES, WHERE_NOT_WHAT, SelfTrainRun, Spec

REFUSED = {"anyOf", "oneOf", "allOf", "not", "$ref", "const", "exclusiveMinimum", "exclusiveMaximum", "propertyNames", "title"}


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[]")


FIELDS = dict(nodes(schema()))
OURS = {path: node for path, node in FIELDS.items() if path.startswith((".spec", ".status"))}


def test_the_walk_reaches_all_levels() -> None:
    assert ".spec.train.resources.limits[]" in FIELDS
    assert ".status.iterations[].scores[].accuracy" in FIELDS


def test_no_node_uses_what_a_structural_schema_forbids() -> None:
    assert {path: REFUSED & set(node) for path, node in FIELDS.items() if REFUSED & set(node)} == {}
    assert all("type" in node for node in FIELDS.values())


def test_strings_lists_and_maps_are_bounded() -> None:
    limits = {"string": ("maxLength", "enum"), "array": ("maxItems",), "integer": ("maximum", "format")}
    loose = [
        path
        for path, node in OURS.items()
        if path.startswith(".spec") and node["type"] in limits and not set(limits[node["type"]]) & set(node)
    ]
    assert loose == [".spec.pods.tolerations[].tolerationSeconds", *(f".spec.{s}.tolerations[].tolerationSeconds" for s in STAGES)]
    assert [path for path, node in OURS.items() if "additionalProperties" in node and "maxProperties" not in node] == []


STAGES = ("generate", "judge", "select", "train", "evaluate")


def test_fields_are_described_in_sentences() -> None:
    described = {path: node.get("description", "") for path, node in OURS.items() if not path.endswith("[]")}
    lower = ("hf://", "s3://")
    wrong = [path for path, text in described.items() if not (text[:1].isupper() or text[:1] == "`" or text.startswith(lower))]
    assert wrong == []


def test_lists_say_how_they_merge_and_there_are_no_floats_or_phases() -> None:
    assert all("x-kubernetes-list-type" in node for node in OURS.values() if node["type"] == "array")
    assert all(node["type"] != "number" for node in OURS.values())
    assert not any(path.endswith(".phase") for path in OURS)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (".spec.evaluate.benchmarks", "name"),
        (".spec.judge.engineArguments", "name"),
        (".status.conditions", "type"),
        (".status.iterations", "iteration"),
    ],
)
def test_lists_of_named_things_are_maps(path: str, key: str) -> None:
    assert FIELDS[path]["x-kubernetes-list-map-keys"] == [key]


def test_every_field_of_the_spec_is_immutable_unless_listed() -> None:
    spec = FIELDS[".spec"]
    watched = {rule["fieldPath"].removeprefix(".") for rule in spec["x-kubernetes-validations"] if "fieldPath" in rule}
    frozen = {
        name
        for name, node in spec["properties"].items()
        if any(rule["rule"] == "self == oldSelf" for rule in node.get("x-kubernetes-validations", ()))
    }
    mutable = {Spec.model_fields[name].alias for name in MUTABLE}
    assert frozen | watched == set(spec["properties"]) - mutable - set(Stage)
    assert watched == {"generator", "instructions", "labelled", "weaker"}


@pytest.mark.parametrize("stage", Stage)
def test_of_a_stage_all_is_immutable_but_where_it_runs_and_how_it_fits_there(stage: Stage) -> None:
    node = FIELDS[f".spec.{stage}"]
    watched = {rule["fieldPath"].removeprefix(".") for rule in node.get("x-kubernetes-validations", ()) if "fieldPath" in rule}
    frozen = {name for name, child in node["properties"].items() if "self == oldSelf" in str(child.get("x-kubernetes-validations"))}
    steering = {to_camel(name) for name in WHERE_NOT_WHAT | FITTING}
    assert frozen | watched == set(node["properties"]) - steering
    assert not frozen & watched
    assert not any(rule["rule"] == "self == oldSelf" for rule in node.get("x-kubernetes-validations", ()))


def test_immutability_takes_no_rule_of_the_types_away() -> None:
    raw = SelfTrainRun.model_json_schema(by_alias=True)
    key = "x-kubernetes-validations"
    own = {path: node[key] for path, node in nodes(structural(raw["$defs"]["Spec"], raw["$defs"]), ".spec") if key in node}
    assert ".spec.train.learningRate" in own
    assert [path for path, rules in own.items() if not all(rule in FIELDS[path].get(key, ()) for rule in rules)] == []


def test_what_fits_a_stage_to_its_machines_are_fields_of_stages() -> None:
    assert {to_camel(name) for name in FITTING} <= {name for stage in Stage for name in FIELDS[f".spec.{stage}"]["properties"]}


def test_the_rules_of_the_types_are_in_the_schema() -> None:
    rules = {rule["rule"] for rule in FIELDS[".spec"]["x-kubernetes-validations"]}
    assert {rule.cel for rule in RULES} <= rules


def test_the_status_has_no_defaults() -> None:
    assert [path for path, node in OURS.items() if path.startswith(".status") and "default" in node] == []


def test_defaults_of_the_schema_are_the_defaults_of_the_types() -> None:
    body = yaml.safe_load((RUNS / "good" / "smallest.yaml").read_text())
    filled = _filled(body["spec"], FIELDS[".spec"])
    expected = run_of(body).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert filled == expected


def _filled(value: Any, node: dict[str, Any]) -> Any:
    """What the API server's defaulting makes of a value."""
    if not isinstance(value, dict):
        return value
    properties = node.get("properties", {})
    given = {**{name: child["default"] for name, child in properties.items() if "default" in child}, **value}
    return {name: _filled(child, properties.get(name, {})) for name, child in given.items()}


@pytest.mark.parametrize("path", sorted(RUNS.glob("good/*.yaml")), ids=lambda path: path.stem)
def test_good_manifests_fit_the_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(path.read_text()))


def test_columns_point_to_fields() -> None:
    for _, _, path, _ in COLUMNS:
        start = path.split("[")[0]
        assert start in FIELDS or start.startswith(".metadata")


def test_a_union_of_two_types_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})


def test_the_status_is_a_subresource() -> None:
    [version] = custom_resource_definition()["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert SelfTrainRun.model_fields["status"].alias == "status"
