"""From a store's URI to a store, and the probe that refuses stores whose commits would not be safe."""

from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.folder import FolderStore
from selftrain.storage.protocol import ObjectStore
from selftrain.storage.s3 import S3Store


def open_store(spec: StoreSpec, *, hasty: bool = False) -> ObjectStore:
    """The store of a run. A local folder is made if it is missing; a bucket is not, since it belongs to somebody."""
    parts = urlsplit(spec.uri)
    if parts.scheme == "s3":
        return S3Store(parts.netloc, parts.path, spec.endpoint, spec.region, hasty=hasty)
    folder = Path(unquote(parts.path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make folder {folder} for the store ({error.strerror})"
        raise UserError(Reason.STORE_ACCESS_DENIED, message, "choose a folder this user may write") from error
    return FolderStore(folder)


def probe(store: ObjectStore) -> None:
    """Check that the store can be written and keeps its promise on conditional creates. Leaves nothing behind."""
    key = f"selftrain-probe-{uuid4().hex}"
    store.create(key, b"first")
    try:
        overwritten = store.create(key, b"second") or store.read(key) != b"first"
    finally:
        store.delete([key])
    if overwritten:
        message = f"{store.uri} overwrites an object that was to be created only if absent"
        raise UserError(Reason.STORE_NOT_CONDITIONAL, message, "use a store with conditional writes (If-None-Match)")
