"""A run in a folder."""

from pathlib import Path

import pytest

from helpers.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write_instructions([f"Do thing {number}." for number in range(10)])
    return made
