"""Where the files lie that tests read."""

from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures"
MICRO = FIXTURES / "micro"
"""The micro model's world: instructions, benchmark and run."""
MODEL = MICRO / "model"
"""The micro model."""
RUNS = FIXTURES / "runs"
"""Manifests, good and bad ones."""
