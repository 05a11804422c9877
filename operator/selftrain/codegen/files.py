"""Which files are generated, and their text. Pure, so that the drift check needs no scratch folder."""

import json
from pathlib import Path
from typing import Any

import yaml

from selftrain.api.crd import custom_resource_definition
from selftrain.api.pods import PodSettings
from selftrain.codegen.reasons import reasons_page
from selftrain.codegen.reference import reference_page
from selftrain.kube.access import LEASE_RULES, RUN_RULES, Rule

SOURCE = "operator/selftrain/api"
HEADER = f"# Generated from {SOURCE} by `make generate`. Do not edit.\n"
PAGE_HEADER = f"<!-- Generated from {SOURCE} by `make generate`. Do not edit. -->\n\n"


def generated() -> dict[str, str]:
    """Text of every generated file by its path in the repository."""
    return {
        "crds/selftrainruns.yaml": HEADER + _yaml(custom_resource_definition()),
        "charts/selftrain/templates/crds.yaml": HEADER + _chart_crd(),
        "charts/selftrain/templates/_rules.tpl": _chart_rules(),
        "charts/selftrain/values.schema.json": _values_schema(),
        "docs/api.md": PAGE_HEADER + reference_page(),
        "docs/reasons.md": PAGE_HEADER + reasons_page(),
    }


def _chart_crd() -> str:
    """The CRD as a template. Helm never upgrades its special folder `crds/`, so it stands among the templates behind a switch."""
    metadata, rest = _yaml(custom_resource_definition()).split("spec:\n", maxsplit=1)
    keep = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
    # Descriptions speak of {{placeholders}}, which Helm would take for its own.
    escaped = rest.replace("{{", "\0").replace("}}", '{{ "}}" }}').replace("\0", '{{ "{{" }}')
    return f"{{{{- if .Values.crds.enabled }}}}\n{metadata}{keep}spec:\n{escaped}{{{{- end }}}}\n"


def _chart_rules() -> str:
    """The operator's rights as templates, from the table that stands beside its calls."""
    blocks = {"runRules": RUN_RULES, "leaseRules": LEASE_RULES}
    header = "{{/* Generated from operator/selftrain/kube/access.py by `make generate`. Do not edit. */}}\n"
    return header + "".join(
        f'{{{{- define "selftrain.{name}" -}}}}\n{_yaml([_rule(rule) for rule in rules])}{{{{- end }}}}\n' for name, rules in blocks.items()
    )


def _values_schema() -> str:
    """The schema of the chart's own values, with the types for what goes into pods."""
    own = json.loads(Path(__file__).with_name("values.schema.json").read_text(encoding="utf-8"))
    pods = PodSettings.model_json_schema(by_alias=True)
    own["$comment"] = f"Generated from {SOURCE} and codegen/values.schema.json by `make generate`. Do not edit."
    own["$defs"] = {**pods.pop("$defs"), "PodSettings": pods}
    return json.dumps(own, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, list[str]]:
    return {"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs)}


class _Dumper(yaml.SafeDumper):
    """No anchors: equal parts of a schema are repeated, as in every other CRD."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _yaml(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=140, allow_unicode=True)
