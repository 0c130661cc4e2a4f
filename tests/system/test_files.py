from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asyncpipe.system.files import replace_file

MODE = 0o600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    path.write_bytes(b"old")
    return path


def test_the_new_content_stands_alone_with_its_own_mode(path: Path) -> None:
    path.chmod(0o644)
    replace_file(path, b"new", mode=MODE)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == MODE
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_a_full_disk_refuses_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[call], refuse)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new", mode=MODE)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_return(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append(("folder" if is_folder else "file", path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    replace_file(path, b"new", mode=MODE)
    assert synced == [("file", b"old"), ("folder", b"new")]


def test_writers_at_once_leave_one_whole_content(path: Path) -> None:
    bodies = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(lambda body: replace_file(path, body, mode=MODE, durable=False), bodies))
    assert path.read_bytes() in bodies
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "removed" / "upload.json", b"new", mode=MODE)
    assert not (tmp_path / "removed").exists()
