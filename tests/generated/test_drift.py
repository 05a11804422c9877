"""Generated files are what would be generated now."""

from pathlib import Path

import pytest

from selftrain.api.conditions import REASONS, Reason
from selftrain.codegen.__main__ import check
from selftrain.codegen.files import generated

ROOT = Path(__file__).parents[2]
FILES = generated()


def test_there_is_something_to_generate() -> None:
    assert set(FILES) == {
        "crds/selftrainruns.yaml",
        "charts/selftrain/templates/crds.yaml",
        "charts/selftrain/templates/_rules.tpl",
        "charts/selftrain/values.schema.json",
        "docs/api.md",
        "docs/reasons.md",
    }


@pytest.mark.parametrize("path", FILES)
def test_files_are_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == FILES[path], "run `make generate`"


def test_a_difference_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert check(tmp_path) == 0
    (tmp_path / "docs/api.md").write_text(FILES["docs/api.md"].replace("Spec", "Spek", 1))
    (tmp_path / "docs/reasons.md").unlink()
    assert check(tmp_path) == 1
    printed = capsys.readouterr().out
    assert "Spek" in printed
    assert "docs/reasons.md" in printed
    assert "make generate" in printed


def test_every_reason_has_a_sentence_and_a_heading() -> None:
    assert set(REASONS) == set(Reason)
    headings = [line.removeprefix("## ") for line in FILES["docs/reasons.md"].splitlines() if line.startswith("## ")]
    assert headings == list(Reason)


def test_no_link_of_the_reference_leads_nowhere() -> None:
    page = FILES["docs/api.md"]
    targets = {part.split(")")[0] for part in page.split("](#")[1:]}
    headings = {line.removeprefix("## ").lower() for line in page.splitlines() if line.startswith("## ")}
    assert len(targets) >= 20
    assert targets <= headings
