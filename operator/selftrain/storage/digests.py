"""SHA-256 digests of bytes, files, models and values: the only identity of content that the platform trusts."""

import json
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from hashlib import file_digest as hash_file
from hashlib import sha256
from pathlib import Path

MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")
"""What makes up a model. Nothing else is downloaded or counts for its digest: no pickles, no Python code."""
DUPLICATES = "consolidated*.safetensors"
"""The same weights in another layout, which would only double the download."""


def is_model_file(name: str) -> bool:
    """Whether a file of a model's folder belongs to the model."""
    return "/" not in name and any(fnmatch(name, pattern) for pattern in MODEL_FILES) and not fnmatch(name, DUPLICATES)


def canonical_json(value: object) -> bytes:
    """One spelling for one value: sorted keys, no spaces, UTF-8. NaN is refused, since readers disagree about it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hex, in bounded memory."""
    with path.open("rb") as file:
        return hash_file(file, "sha256").hexdigest()


def model_digest(folder: Path) -> str:
    """Digest of a model: names and contents of its files, wherever it was fetched from."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and is_model_file(path.name))
    with ThreadPoolExecutor(max_workers=4) as pool:  # hashing releases the interpreter lock, and weights come in many files
        digests = dict(zip((path.name for path in files), pool.map(file_digest, files), strict=True))
    return digest(canonical_json(digests))
