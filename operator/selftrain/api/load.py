"""From a parsed manifest to a SelfTrainRun, with errors that name the field."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.v1alpha1 import Metadata, SelfTrainRun


def run_of(body: Mapping[str, Any]) -> SelfTrainRun:
    """The run in a resource body or manifest. Metadata fields that selftrain does not use are left out.

    Raises `UserError` naming the first wrong field and, if there are more, how many.
    """
    known = {field.alias for field in Metadata.model_fields.values()}
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key in known}
    # As JSON and strictly, so that what the API server refuses is refused here too: "3" is no integer.
    text = json.dumps(_without_nulls({**body, "metadata": metadata}), default=str)
    try:
        return SelfTrainRun.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        where = ".".join(str(part) for part in problems[0]["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        message = f"{where or 'spec'}: {problems[0]['msg'].removeprefix('Value error, ')}{more}"
        raise UserError(Reason.INVALID_SPEC, message, "correct the field") from error


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """A null field is an absent field, as for the API server."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return [_without_nulls(child) for child in value] if isinstance(value, list) else value
