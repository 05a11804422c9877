"""What a store can do. S3 and the local folder implement it; one contract suite tests both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ObjectNotFound(Exception):  # noqa: N818 - names the situation, like KeyError's kin in the standard library
    """No object has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class ObjectInfo:
    """One listed object; size in bytes."""

    key: str
    size: int


class ObjectStore(Protocol):
    """Objects by key below one prefix. Keys are relative to it.

    Every method raises `UserError` for a missing bucket or refused credentials and `PlatformError` when the store
    cannot be reached after the client's own retries.
    """

    @property
    def uri(self) -> str:
        """URI of the prefix, without a slash at the end."""
        ...

    def read(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Create or replace an object."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Create an object if there is none (If-None-Match: *). False, and nothing changed, if there is one."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`, in key order."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Write the object to a file, in parallel parts and bounded memory. Raises `ObjectNotFound`."""
        ...

    def upload(self, path: Path, key: str) -> None:
        """Create or replace an object from a file, in parallel parts and bounded memory."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; missing ones are no error."""
        ...
