"""A stranger reads a module at one go."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "examples", "hack", "operator", "tests")
LONGEST = 500


def test_no_module_is_long() -> None:
    found = {path: len(path.read_text().splitlines()) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert len(found) > 100
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines > LONGEST} == {}
