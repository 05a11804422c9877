"""Scripts beside the package: they import each other by bare name, as they do when they are run."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest


@contextmanager
def imported(folder: Path, *names: str) -> Iterator[tuple[ModuleType, ...]]:
    """The scripts of these names, forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield tuple(importlib.import_module(name) for name in names)
        for name in names:
            sys.modules.pop(name, None)
