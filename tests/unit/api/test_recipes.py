"""A field that is set wins over its recipe."""

from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from selftrain.api.recipes import PLACES, RECIPES, NegativeKind
from selftrain.api.v1alpha1 import Spec

NEEDED = {"model": {"uri": "s3://bucket/m"}, "store": {"uri": "s3://bucket/r"}, "instructions": {"uri": "s3://bucket/i"}}


def spec(**fields: Any) -> Spec:
    return Spec.model_validate({**NEEDED, **fields})


def test_every_preset_can_be_asked_for_and_is_consistent() -> None:
    assert {name: spec(recipe=name).resolved for name in RECIPES} == RECIPES
    assert spec().resolved == RECIPES["paper"]


def test_every_choice_has_its_place_in_the_spec() -> None:
    assert PLACES.keys() == {field.name for field in fields(RECIPES["paper"])}
    for name, block in PLACES.items():
        assert getattr(getattr(spec(), block), name) is None, "the schema gives no default for what recipes choose"


def test_no_recipe_with_slices_judges_one_again_by_default() -> None:
    found = {name: recipe.slices for name, recipe in RECIPES.items()}
    assert found == {"paper": 1, "release": spec().iterations, "improved": spec().iterations}


def test_the_release_learns_from_several_contrasts_a_prompt() -> None:
    assert {name: recipe.contrasts for name, recipe in RECIPES.items()} == {"paper": 1, "release": 6, "improved": 1}
    assert spec(recipe="release", select={"contrasts": 2}).resolved.contrasts == 2


def test_what_the_paper_and_the_release_say_is_what_a_bare_manifest_does() -> None:
    """Sources: the paper, sections 4.1 and 5; the released model's configuration."""
    paper, release = spec(), spec(recipe="release")
    assert (paper.iterations, paper.judge.samples, paper.evaluate.majority_of) == (5, 15, 32)
    assert list(paper.resolved.negatives) == [NegativeKind.VARIATION]
    assert (paper.resolved.objective, paper.resolved.start) == ("sft", "seed")
    assert [release.resolved.objective_of(iteration) for iteration in (1, 2, 3)] == ["sft", "dpo", "dpo"]
    assert (release.train.dpo_beta, release.train.dpo_nll_scale, release.resolved.start) == ("0.1", "1.5", "previous")


def test_improved_mixes_near_misses_with_variations_and_goes_on() -> None:
    """The choices that the study's numbers are of (docs/results)."""
    improved = spec(recipe="improved").resolved
    assert improved.negatives == {"variation": 4, "disagreement": 1, "error": 1, "final-answer": 1, "constraint": 1}
    assert (improved.require_mirror, improved.start, improved.objective, improved.answers) == (True, "previous", "sft", 5)


def test_own_fields_win() -> None:
    own = spec(
        recipe="improved", generate={"answers": 3, "negatives": [{"kind": "disagreement", "weight": 2}]}, select={"requireMirror": False}
    )
    assert (own.resolved.answers, own.resolved.require_mirror) == (3, False)
    assert own.resolved.negatives == {NegativeKind.DISAGREEMENT: 2}
    assert own.resolved.minimum_pass_rate == RECIPES["improved"].minimum_pass_rate


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"generate": {"negatives": [{"kind": "disagreement"}]}}, "disagreement needs generate.answers above 1"),
        ({"recipe": "improved", "generate": {"answers": 1}}, "disagreement needs generate.answers above 1"),
        ({"generate": {"negatives": [{"kind": "weaker"}]}}, "weaker and the kind weaker of generate.negatives need each other"),
        ({"weaker": {"uri": "s3://bucket/old"}}, "weaker and the kind weaker of generate.negatives need each other"),
        ({"recipe": "improved", "judge": {"orders": "random"}}, "select.requireMirror needs judge.orders both"),
        ({"generate": {"negatives": []}}, "at least 1 item"),
        ({"generate": {"negatives": [{"kind": "variation"}, {"kind": "variation"}]}}, "two items have the kind variation"),
    ],
)
def test_contradictions(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**fields)
