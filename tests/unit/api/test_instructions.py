"""Fields that came later leave the digests of runs under way alone."""

from selftrain.api.instructions import Instructions

FIRST = {"uri": "s3://bucket/file", "text_field": "instruction", "multi_turn": "drop", "where": [], "limit": None}


def test_what_is_not_set_is_not_written() -> None:
    assert Instructions(uri="s3://bucket/file").model_dump(mode="json", by_alias=False) == FIRST


def test_what_is_set_comes_back() -> None:
    own = Instructions(uri="s3://bucket/file", validation=3)
    assert Instructions.model_validate_json(own.model_dump_json()) == own
