"""Trouble with file systems that a folder store has to name."""

import errno
import os
from pathlib import Path

import pytest

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.folder import FolderStore
from selftrain.storage.open import open_store, probe


def fail_with(number: int) -> object:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_folder_is_made_and_its_name_may_have_spaces(tmp_path: Path) -> None:
    store = open_store(StoreSpec(uri=(tmp_path / "new folder" / "ü").as_uri()))
    probe(store)
    assert store.uri == (tmp_path / "new folder" / "ü").as_uri()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make folder") as caught:
        open_store(StoreSpec(uri=(tmp_path / "file" / "store").as_uri()))
    assert caught.value.reason is Reason.STORE_ACCESS_DENIED


def test_a_file_system_without_hard_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    with pytest.raises(UserError, match="no hard links") as caught:
        probe(FolderStore(tmp_path))
    assert caught.value.reason is Reason.STORE_NOT_CONDITIONAL


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (errno.EACCES, UserError, Reason.STORE_ACCESS_DENIED),
        (errno.EROFS, UserError, Reason.STORE_ACCESS_DENIED),
        (errno.ENOSPC, PlatformError, Reason.STORE_UNAVAILABLE),
        (errno.EIO, PlatformError, Reason.STORE_UNAVAILABLE),
    ],
)
def test_a_disk_error_says_who_must_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SelfTrainError], reason: Reason
) -> None:
    monkeypatch.setattr(os, "fsync", fail_with(number))
    store = FolderStore(tmp_path)
    for write in (lambda: store.write("a/key", b""), lambda: store.create("a/key", b"")):
        with pytest.raises(kind, match="a/key") as caught:
            write()
        assert caught.value.reason is reason
    assert list(store.list("")) == []
    assert list((tmp_path / ".partial").iterdir()) == []
