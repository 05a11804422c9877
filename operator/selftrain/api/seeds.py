"""Random seeds, all derived from the run's one. A sample depends on what it is, not on when or where it was drawn."""

from hashlib import sha256

BYTES = 6
SEEDS = 1 << 8 * BYTES
"""Number of seeds there are."""


def seed_of(*parts: str | int) -> int:
    """A seed of 48 bits for the thing named by `parts`, which engines accept whatever their integer width."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(sha256(text.encode()).digest()[:BYTES], "big")
