"""What the author of a run points at, brought to this machine: models and files from S3, the Hub, volumes and folders."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.digests import digest, is_model_file
from selftrain.storage.models import check_names, check_settings
from selftrain.storage.protocol import ObjectNotFound
from selftrain.storage.s3 import S3Store

CLAIMS = Path("/mnt/pvc")
"""Where the pods of a run see their claims, each below its name."""
HUB_URI = re.compile(
    r"hf://(?P<datasets>datasets/)?(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>refs/(pr|convert)/[^/]+|[^/@]+))?(/(?P<file>.+))?"
)


@dataclass(frozen=True)
class Kind:
    """What is read, and how to say that it cannot be."""

    field: str
    not_found: Reason
    not_readable: Reason
    is_model: bool = False


MODEL = Kind("spec.model.uri", Reason.MODEL_NOT_FOUND, Reason.MODEL_NOT_READABLE, is_model=True)
GENERATOR = Kind("spec.generator.uri", Reason.MODEL_NOT_FOUND, Reason.MODEL_NOT_READABLE, is_model=True)
WEAKER = Kind("spec.weaker.uri", Reason.MODEL_NOT_FOUND, Reason.MODEL_NOT_READABLE, is_model=True)
INSTRUCTIONS = Kind("spec.instructions.uri", Reason.INSTRUCTIONS_NOT_FOUND, Reason.INSTRUCTIONS_NOT_READABLE)
LABELLED = Kind("spec.labelled.uri", Reason.LABELLED_NOT_FOUND, Reason.LABELLED_NOT_FOUND)
BENCHMARK = Kind("spec.evaluate.benchmarks", Reason.BENCHMARK_NOT_FOUND, Reason.BENCHMARK_NOT_FOUND)


class Source(Protocol):
    """A folder somewhere. Says `FileNotFoundError` and `PermissionError` (or the store's words for it)."""

    def names(self) -> list[str]:
        """Names of its files, relative to it."""
        ...

    def fetch(self, names: Iterable[str]) -> Path:
        """Bring files here; returns the local folder, the same one on every call."""
        ...


@dataclass(frozen=True)
class LocalSource:
    """A folder of this machine or a mounted claim. Nothing is copied."""

    folder: Path

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def fetch(self, names: Iterable[str]) -> Path:
        for name in names:
            (self.folder / name).open("rb").close()  # a file that cannot be read is found out here, not in an engine
        return self.folder


@dataclass(frozen=True)
class S3Source:
    """A prefix in a bucket, read with the endpoint and credentials of the run's store."""

    store: S3Store
    target: Path

    def names(self) -> list[str]:
        return [info.key for info in self.store.list("")]

    def fetch(self, names: Iterable[str]) -> Path:
        for name in names:
            path = self.target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self.store.download(name, path)
        return self.target


def resolve(uri: str, store: StoreSpec, scratch: Path, kind: Kind, token: str | None = None, *, weights: bool = True) -> Path:
    """A local path of the file or model at `uri`. Downloads land below `scratch`; `token` is for gated models of the Hub.

    A model that is unsafe or unusable is refused before its weights are downloaded, which they are not without `weights`.
    """
    target = scratch / "inputs" / digest(uri.encode())[:16]
    with _reasons(kind, uri):
        if kind.is_model:
            return _fetch_model(uri, _source(uri.rstrip("/"), store, target, token), weights=weights)
        folder, name = _split(uri)
        return _source(folder, store, target, token).fetch([name]) / name


def resolve_files(uri: str, store: StoreSpec, scratch: Path, kind: Kind) -> list[Path]:
    """Local paths of the files at `uri`, in the order of their names: `*` stands for any part of a name, as data sets are laid out."""
    with _reasons(kind, uri):
        folder, pattern = _split(uri)
        source = _source(folder, store, scratch / "inputs" / digest(uri.encode())[:16], None)
        names = [name for name in source.names() if _like(pattern, name)] if "*" in pattern else [pattern]
        if not names:
            message = "no file there has such a name"
            raise FileNotFoundError(message)
        root = source.fetch(names)
        return [root / name for name in sorted(names)]


def _like(pattern: str, name: str) -> bool:
    return re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), name) is not None


def _fetch_model(uri: str, source: Source, *, weights: bool) -> Path:
    names = source.names()
    check_names(uri, names)
    wanted = [name for name in names if is_model_file(name)]
    heavy = [name for name in wanted if name.endswith(".safetensors")]
    folder = source.fetch(name for name in wanted if name not in heavy)
    check_settings(uri, folder, names)
    return source.fetch(heavy) if weights else folder


def _split(uri: str) -> tuple[str, str]:
    """URI of a file's folder, and the file's name in it. Paths are quoted as in any URI; keys of S3 and the Hub are not."""
    if uri.startswith("hf://"):
        match = HUB_URI.fullmatch(uri)
        if match is None or match["file"] is None:
            message = "the URI names no file: hf://datasets/owner/name@revision/path/of/the/file"
            raise FileNotFoundError(message)
        return uri.removesuffix(f"/{match['file']}"), match["file"]
    folder, _, name = uri.rpartition("/")
    return folder, name if uri.startswith("s3://") else unquote(name)


def _source(uri: str, store: StoreSpec, target: Path, token: str | None) -> Source:
    """The folder that a URI names."""
    scheme, _, rest = uri.partition("://")
    place, _, path = rest.partition("/")
    match scheme:
        case "s3":
            return S3Source(S3Store(place, path, store.endpoint, store.region), target)
        case "hf":
            match = HUB_URI.fullmatch(uri)
            if match is None or match["file"] is not None:
                message = "the URI should read hf://owner/name@revision"
                raise FileNotFoundError(message)
            from selftrain.storage.hub import HubSource  # noqa: PLC0415 - half a second that most runs do not need

            return HubSource(match["repo"], "dataset" if match["datasets"] else "model", match["revision"] or "main", target, token)
        case "pvc":
            return LocalSource(_below(CLAIMS / place, unquote(path)))
        case _:
            if place:
                message = "a file URI has three slashes: file:///path"
                raise FileNotFoundError(message)
            return LocalSource(Path("/", unquote(path)))


def _below(root: Path, path: str) -> Path:
    if ".." in path.split("/"):
        message = "the path leads out of the volume"
        raise FileNotFoundError(message)
    return root / path


@contextmanager
def _reasons(kind: Kind, uri: str) -> Iterator[None]:
    """Missing and refused things, in the words of what was to be read."""
    try:
        yield
    except (ObjectNotFound, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _refusal(kind, kind.not_found, f"{uri} was not found ({_said(error)})") from error
    except PermissionError as error:
        raise _refusal(kind, kind.not_readable, f"{uri} may not be read ({_said(error)})") from error
    except UserError as error:
        match error.reason:
            case Reason.STORE_NOT_FOUND:
                raise _refusal(kind, kind.not_found, f"{uri} was not found ({error.message})") from error
            case Reason.STORE_ACCESS_DENIED:
                raise _refusal(kind, kind.not_readable, f"{uri} may not be read ({error.message})") from error
            case _:
                raise


def _refusal(kind: Kind, reason: Reason, message: str) -> UserError:
    return UserError(reason, f"{kind.field}: {message}", REASONS[reason][1])


def _said(error: Exception) -> str:
    """What an error says in a few words; the operating system's has them in `strerror`."""
    if isinstance(error, ObjectNotFound):
        return "no such object"
    return getattr(error, "strerror", None) or str(error)
