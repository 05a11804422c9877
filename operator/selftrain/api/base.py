"""The common base of every type in the API, and the string formats they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema


class ApiModel(BaseModel):
    """Closed, immutable, camelCase outside and snake_case inside. Attribute docstrings become schema descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


# Decimals travel as strings: `1e-5` is a string to one YAML reader and a number to another, and floats do not compare.
Decimal = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,12})?$", max_length=20)]
Share = Annotated[str, Field(pattern=r"^(0(\.[0-9]{1,12})?|1(\.0{1,12})?)$", max_length=20)]
DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
InputUri = Annotated[str, Field(pattern=r"^(s3|hf|pvc|file)://[^\s]+$", max_length=1024)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([munkKMGTPE]|[KMGTPE]i)?$", max_length=32)]

SINCE = Field(exclude_if=lambda value: value is None)
"""Marks a field that came after the first runs. Left out where it is not set, it does not change the digest of a run under way."""


@dataclass(frozen=True)
class Bound:
    """Marks a decimal with a bound that leaves out its own end, as CEL for the API server and as Python for local runs."""

    cel: str
    message: str
    holds: Callable[[float], bool]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-kubernetes-validations": [{"rule": self.cel, "message": self.message}]}

    def _checked(self, value: str) -> str:
        if not self.holds(float(value)):
            raise ValueError(self.message)
        return value


ABOVE_ZERO = Bound("double(self) > 0.0", "must be above 0", lambda value: value > 0)
BELOW_ONE = Bound("double(self) < 1.0", "must be below 1", lambda value: value < 1)


@dataclass(frozen=True)
class KeyedBy:
    """Marks a list as a map: no two items share the key field, and server-side apply merges items by it."""

    key: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._distinct, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}

    def _distinct(self, items: Sequence[ApiModel]) -> Sequence[ApiModel]:
        keys = [getattr(item, self.key) for item in items]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            message = f"two items have the {self.key} {twice}"
            raise ValueError(message)
        return items
