"""Objects as files below a local folder, with the same promises as S3: whole objects, and one winner of every race."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.storage.protocol import ObjectInfo, ObjectNotFound

TEMPORARY = ".partial"
"""Folder below the root for files being written: on the same file system, so that they can be renamed. Never listed."""
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK})
COPY_BYTES = 1 << 20
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class FolderStore:
    """Keys are paths below `root`, which must exist: a vanished mount must not turn into a new, empty store.

    A file appears under its key by rename or hard link, when it is whole and on the disk. A writer that is killed leaves
    its part in `.partial/`, where no reader looks.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uri(self) -> str:
        return self.root.as_uri()

    def read(self, key: str) -> bytes:
        with self._errors(key):
            return self._path(key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        with self._errors(key), self._temporary() as partial:
            _write(partial, data)
            self._publish(partial, key)

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with self._errors(key), self._temporary() as partial:
            if path.exists():
                return False  # saves the write; the link below decides
            _write(partial, data)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(partial, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                raise self._no_links(error) from error
            _sync(path.parent)
            return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        with self._errors(prefix):
            self.root.stat()
            for info in self._walk(f"{folder}/" if folder else ""):
                if info.key.startswith(prefix):
                    yield info

    def download(self, key: str, path: Path) -> None:
        with self._errors(key):
            source = self._path(key).open("rb")
        with source, path.open("wb") as target:
            shutil.copyfileobj(source, target, COPY_BYTES)

    def upload(self, path: Path, key: str) -> None:
        with path.open("rb") as source, self._errors(key), self._temporary() as partial:
            with partial.open("wb") as target:
                shutil.copyfileobj(source, target, COPY_BYTES)
                os.fsync(target.fileno())
            self._publish(partial, key)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._errors(key):
                self.root.stat()
                self._path(key).unlink(missing_ok=True)

    def _walk(self, folder: str) -> Iterator[ObjectInfo]:
        """Files below a folder in the order of their keys: a folder sorts as its name with the slash."""
        with suppress(FileNotFoundError, NotADirectoryError):
            entries = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in os.scandir(self.root / folder)]
            for name in sorted(entries):
                key = folder + name
                if key == f"{TEMPORARY}/":
                    continue
                if name.endswith("/"):
                    yield from self._walk(key)
                else:
                    with suppress(FileNotFoundError):  # deleted since the folder was read
                        yield ObjectInfo(key, (self.root / key).stat().st_size)

    def _path(self, key: str) -> Path:
        """The file of a key. Keys may come from a manifest somebody edited, so none may lead out of the root."""
        if any(part in {"", ".", ".."} for part in key.split("/")) or key.startswith(f"{TEMPORARY}/"):
            raise ObjectNotFound(key)
        return self.root / key

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        folder = self.root / TEMPORARY
        folder.mkdir(exist_ok=True)
        handle, name = mkstemp(dir=folder)
        os.close(handle)
        partial = Path(name)
        try:
            partial.chmod(0o644)  # mkstemp's 0600 would lock other users of a shared folder out
            yield partial
        finally:
            partial.unlink(missing_ok=True)

    def _publish(self, partial: Path, key: str) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        _sync(path.parent)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """The one place where the file system's errors get a meaning."""
        try:
            yield
        except OSError as error:
            raise self._meaning(error, key) from error

    def _meaning(self, error: OSError, key: str) -> SelfTrainError | ObjectNotFound:
        if not self.root.is_dir():
            return UserError(Reason.STORE_NOT_FOUND, f"folder {self.root} does not exist", "create it, or correct the store's URI")
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return ObjectNotFound(key)
        place = f"{self.root / key} ({error.strerror})"
        if error.errno in REFUSED:
            return UserError(Reason.STORE_ACCESS_DENIED, f"may not use {place}", "give this user access to the folder")
        return PlatformError(Reason.STORE_UNAVAILABLE, f"cannot use {place}", "check the disk")

    def _no_links(self, error: OSError) -> UserError:
        message = f"the file system of {self.root} has no hard links ({error.strerror}), so commits would not be safe"
        return UserError(Reason.STORE_NOT_CONDITIONAL, message, "use a folder on a Linux file system, or S3")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
