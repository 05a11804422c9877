"""The chart against what it is made from: settings, rights, values. No Helm needed; tests/integration renders it."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from selftrain.controller.settings import Settings, variable
from selftrain.kube.access import LEASE_RULES, RUN_RULES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "selftrain"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = {path.name: path.read_text() for path in sorted(CHART.glob("templates/*"))}
OPEN = {"operator.resources", "operator.nodeSelector", "operator.affinity", "s3.resources", "pods", "serviceAccount.annotations"}
"""Values that are passed on as they are."""


def leaves(value: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, child in value.items():
        path = f"{prefix}{key}"
        found |= leaves(child, f"{path}.") if isinstance(child, dict) and path not in OPEN else {path}
    return found


def test_the_deployment_sets_exactly_the_settings_there_are() -> None:
    given = re.findall(r"- name: (SELFTRAIN_\w+)", TEMPLATES["operator.yaml"])
    assert sorted(given) == sorted(variable(field) for field in Settings.model_fields)


def test_the_roles_hold_only_the_rights_in_the_table() -> None:
    included = re.findall(r'rules: \{\{- include "(\S+)"', TEMPLATES["rbac.yaml"])
    assert set(included) == {"selftrain.runRules", "selftrain.leaseRules"}
    assert TEMPLATES["rbac.yaml"].count("rules:") == len(included)
    blocks = TEMPLATES["_rules.tpl"].split("{{- define ")[1:]
    rules = [rule for block in blocks for rule in yaml.safe_load(block.split("-}}\n")[1].split("{{-")[0])]
    table = [(rule.group, rule.resource, rule.verbs) for rule in (*RUN_RULES, *LEASE_RULES)]
    assert [(r["apiGroups"][0], r["resources"][0], tuple(r["verbs"])) for r in rules] == table


def test_no_right_is_a_wildcard_or_reads_secrets() -> None:
    for rule in (*RUN_RULES, *LEASE_RULES):
        assert "*" not in (rule.group, rule.resource, *rule.verbs)
        assert rule.resource not in ("secrets", "configmaps")


def test_default_values_fit_the_schema_and_others_do_not() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES)
    jsonschema.Draft7Validator(SCHEMA).validate({**VALUES, "pods": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}})
    pods = ({"imag": "x"}, {"resources": {"limits": {"nvidia.com/gpu": 1}}})
    for wrong in (
        {"image": {}},
        {"operator": {"replica": 1}},
        {"s3": {"size": "big"}},
        {"clusterWide": "yes"},
        *({"pods": pod} for pod in pods),
    ):
        assert not jsonschema.Draft7Validator(SCHEMA).is_valid({**VALUES, **wrong})


def test_the_schema_knows_every_value_and_no_other() -> None:
    def known(node: dict[str, Any], prefix: str = "") -> set[str]:
        found: set[str] = set()
        for key, child in node["properties"].items():
            path = f"{prefix}{key}"
            found |= known(child, f"{path}.") if "properties" in child else {path}
        return found

    assert known(SCHEMA) - {"global"} == leaves(VALUES)


def test_every_value_is_used_and_every_used_value_exists() -> None:
    used = {match for text in TEMPLATES.values() for match in re.findall(r"\.Values\.([A-Za-z0-9.]+)", text)}
    assert used == leaves(VALUES)


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"^ {0,2}[a-z]\w*:", line)]
    assert len(keys) >= len(VALUES)
    plain = {lines[n].split(":")[0].strip() for n in keys if not lines[n - 1].strip().startswith("#")}
    groups = {"operator", "crds", "annotations", "enabled", "accessKey"}  # commented above or inside
    kubernetes = {"resources", "nodeSelector", "tolerations", "affinity", "priorityClassName"}
    assert plain <= groups | kubernetes


def test_versions_are_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = {reference.rsplit(":", 1)[1] for reference in VALUES["images"].values() if isinstance(reference, str)}
    assert {chart["version"], chart["appVersion"], *images} == {version}
