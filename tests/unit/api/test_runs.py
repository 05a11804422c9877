"""The corpus of manifests: good ones are accepted, bad ones are refused and the message names the field.

tests/integration/test_crd.py asks the API server the same questions.
"""

import re
from pathlib import Path

import pytest
import yaml

from helpers.fixtures import RUNS
from selftrain.api.errors import UserError
from selftrain.api.load import run_of
from selftrain.api.pair_files import Mode, PairFormat
from selftrain.api.recipes import RECIPES
from selftrain.api.v1alpha1 import RULES, Spec

ROOT = Path(__file__).parents[3]
STUDY = "study.yaml"
"""No manifest but changes to one; hack/study reads it."""
ABLATIONS = [path for path in sorted(ROOT.glob("examples/ablations/*.yaml")) if path.name != STUDY]
GOOD = [*sorted(RUNS.glob("good/*.yaml")), *sorted(ROOT.glob("examples/*/run*.yaml")), *ABLATIONS]
BAD = sorted(RUNS.glob("bad/*.yaml"))


def test_the_corpus_is_found() -> None:
    assert len(GOOD) >= 3
    assert len(BAD) >= 25
    assert {path.stem for path in ABLATIONS} >= {f"source-{name}" for name in ("reasoning", "coding", "maths", "safety")}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_manifests_are_accepted(path: Path) -> None:
    run_of(yaml.safe_load(path.read_text()))


def test_comparisons_are_short_manifests_that_differ_in_what_is_compared() -> None:
    specs = {path.stem: yaml.safe_load(path.read_text())["spec"] for path in ABLATIONS}
    assert specs.keys() >= {"synthetic", "labelled", "mixed", "rewriting", "continue", "dpo"}
    shared = {"model", "store", "evaluate"}
    own = {name: {field: value for field, value in spec.items() if field not in shared} for name, spec in specs.items()}
    assert len({str({field: spec[field] for field in shared}) for spec in specs.values()}) == 1
    assert len({str(spec) for spec in own.values()}) == len(own)
    assert Spec.model_validate(specs["synthetic"]).resolved == RECIPES["paper"]


def test_a_comparison_is_five_lines() -> None:
    lines = {path.stem: len(path.read_text().partition("\nspec:\n")[2].splitlines()) for path in ABLATIONS}
    assert min(lines.values()) > 3
    assert {name: count for name, count in lines.items() if count > 5} == {"weaker": 6, "plan": 22}, (
        "one has one more model, one a whole prompt"
    )


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_manifests_are_refused_and_the_message_names_the_field(path: Path) -> None:
    text = path.read_text()
    with pytest.raises(UserError) as refused:
        run_of(yaml.safe_load(text))
    assert text.splitlines()[0].removeprefix("# message: ") in refused.value.message


def test_every_rule_has_a_manifest_that_breaks_it() -> None:
    expected = {path.read_text().splitlines()[0].removeprefix("# message: ") for path in BAD}
    stages = [rule.message for rule in RULES if "maxModelLength" not in rule.message]  # the same rule for each stage
    assert set(stages) <= expected
    assert any("maxModelLength" in message for message in expected)


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_manifests_in_the_docs_are_accepted(page: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        run_of(yaml.safe_load(block))


def test_manifests_that_are_compared_differ_in_what_is_compared_alone() -> None:
    specs = [yaml.safe_load(path.read_text())["spec"] for path in ABLATIONS if path.stem.startswith("source-")]
    assert len({str(spec.pop("instructions")) for spec in specs}) == len(specs)
    assert len({str(spec) for spec in specs}) == 1


def test_null_is_the_same_as_absent() -> None:
    body = yaml.safe_load((RUNS / "good" / "smallest.yaml").read_text())
    body["spec"] |= {"generator": None, "iterations": None}
    assert run_of(body).spec.iterations == 5


def test_every_format_and_mode_is_described() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert {f"| `{name}` |" for name in (*PairFormat, *Mode)} <= set(re.findall(r"^\| `[a-z0-9-]+` \|", page, re.MULTILINE))
