"""The common base of every type in the API, and the string formats they share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


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
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([munkKMGTPE]|[KMGTPE]i)?$", max_length=32)]
