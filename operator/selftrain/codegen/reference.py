"""The API reference: one section for each type, from its docstrings and bounds."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from selftrain.api.base import ApiModel
from selftrain.api.recipes import PLACES, RECIPES
from selftrain.api.v1alpha1 import FITTING, KIND, MUTABLE, NAME_LIMIT, RULES, WHERE_NOT_WHAT, SelfTrainRun

Node = dict[str, Any]


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(f"`{to_camel(name)}`" for name in sorted(fields))


INTRODUCTION = f"""# API reference

`{KIND}`, short name `strun`, in `selftrain.dev/v1alpha1`. Names have at most {NAME_LIMIT} characters.
Everything in `spec` that defines the result is immutable; {_listed(MUTABLE)}
may change at any time (`iterations` may only grow). So may the settings of a stage that say where it runs ({_listed(WHERE_NOT_WHAT)})
or fit it to its machines ({_listed(FITTING)}).
They count from the next Job on; to have one at once, set `suspend` to true and back. A stage that is under way goes on where it was,
but begins anew when it is fitted differently, since its results would differ by rounding.
Decimals are strings, since YAML readers disagree about `1e-5`.
"""


def reference_page() -> str:
    """Every type that can be reached from SelfTrainRun, in the order in which a reader meets it."""
    raw = SelfTrainRun.model_json_schema(by_alias=True)
    types = {model.__name__: model for model in _subclasses(ApiModel)}
    names = ["Spec", *(name for name in _reached(raw["$defs"], "Spec") if name in types), *_status_types(raw["$defs"], types)]
    bases = [base.__name__ for name in names for base in types[name].__mro__[1:] if base in types.values()]
    order = list(dict.fromkeys([*names, *bases]))
    schemas = {name: raw["$defs"].get(name) or types[name].model_json_schema(by_alias=True) for name in order}
    return INTRODUCTION + _recipes() + _rules() + "".join(_section(types[name], schemas[name], raw["$defs"]) for name in order)


def _recipes() -> str:
    """What each preset chooses, field by field."""
    head = f"| field | {' | '.join(f'`{name}`' for name in RECIPES)} |\n| --- |{' --- |' * len(RECIPES)}\n"
    rows = (
        f"| `{block}.{to_camel(name)}` | {' | '.join(_choice(getattr(recipe, name)) for recipe in RECIPES.values())} |\n"
        for name, block in PLACES.items()
    )
    return "\n## Recipes\n\nWhat `spec.recipe` chooses for fields that are left out. A field that is set wins.\n\n" + head + "".join(rows)


def _rules() -> str:
    """What is refused although each field is well formed."""
    return "\n## Rules across fields\n\nA manifest that breaks one is refused.\n\n" + "".join(f"- {rule.message}\n" for rule in RULES)


def _choice(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{kind} (weight {weight})" for kind, weight in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _status_types(defs: dict[str, Node], types: dict[str, type[ApiModel]]) -> list[str]:
    return ["Status", *(name for name in _reached(defs, "Status") if name in types)]


def _subclasses(model: type[ApiModel]) -> list[type[ApiModel]]:
    return [found for child in model.__subclasses__() for found in (child, *_subclasses(child))]


def _reached(defs: dict[str, Node], name: str) -> list[str]:
    """Names of the types below one, depth first."""
    direct = [target for node in defs[name].get("properties", {}).values() for target in _references(node)]
    return list(dict.fromkeys(found for target in direct for found in (target, *_reached(defs, target))))


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].removeprefix("#/$defs/")] if "$ref" in node else []
        return own + [found for key, child in node.items() if key != "default" for found in _references(child)]
    return [found for child in node for found in _references(child)] if isinstance(node, list) else []


def _section(model: type[BaseModel], node: Node, defs: dict[str, Node]) -> str:
    own = {model.model_fields[name].alias or name for name in model.__annotations__ if name in model.model_fields}
    inherited = [f"[{base.__name__}](#{base.__name__.lower()})" for base in model.__bases__ if base not in (ApiModel, BaseModel)]
    also = f"\nAnd all fields of {', '.join(inherited)}.\n" if inherited else ""
    required = node.get("required", ())
    rows = [_row(name, child, defs, required=name in required) for name, child in node["properties"].items() if name in own]
    table = "\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows) if rows else ""
    return f"\n## {model.__name__}\n\n{_one_line(node.get('description', ''))}\n{table}{also}"


def _row(name: str, node: Node, defs: dict[str, Node], *, required: bool) -> str:
    default = "required" if required else _default(node)
    # Pydantic leaves out a field's description that repeats its type's.
    described = node if "description" in node else next((defs[target] for target in _references(node)), {})
    return f"| `{name}` | {_type(node, defs)} | {default} | {_one_line(described.get('description', ''))} |\n"


def _default(node: Node) -> str:
    match node.get("default"):
        case None | dict() | []:
            return ""
        case bool() as value:
            return f"`{str(value).lower()}`"
        case value:
            return f"`{value}`"


def _type(node: Node, defs: dict[str, Node]) -> str:
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return f"[{name}](#{name.lower()})" if "properties" in defs[name] else _type(defs[name], defs)
    if "anyOf" in node:
        return _type(node["anyOf"][0], defs)
    if "enum" in node:
        return "one of " + ", ".join(f"`{value}`" for value in node["enum"]) if len(node["enum"]) <= 15 else "a reason"  # noqa: PLR2004
    if "const" in node:
        return f"`{node['const']}`"
    match node["type"]:
        case "array":
            return f"list of {_type(node['items'], defs)}, at most {node['maxItems']}"
        case "object":
            return f"map to {_type(node['additionalProperties'], defs)}, at most {node['maxProperties']}"
        case "integer":
            return "integer" + _bounds(node)
        case "string" if "pattern" in node:
            return f"string like `{node['pattern']}`".replace("|", r"\|")
        case kind:
            return str(kind)


def _bounds(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if high is not None:
        return f", {low:,} to {high:,}"
    return f", at least {low}" if low is not None else ""


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")
