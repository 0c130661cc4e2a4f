from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncpipe.errors import ArtifactError, XvaInvalidError
from asyncpipe.model.build import BuildExit
from asyncpipe.run import artifact
from tests.packer.test_build import a_plan

GOOD = b"ova.xml\0" + b"\0" * 1016
STARTED = BuildExit(
    return_code=0,
    started_utc="2026-11-23T17:00:00.000Z",
    ended_utc="2026-11-23T17:10:00.000Z",
    duration_s=600.0,
)
BEFORE_S = 1_795_000_000.0  # some days earlier


def _write(folder: Path, name: str, data: bytes = GOOD, *, at_s: float | None = None) -> Path:
    path = folder / "out" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    fresh_s = 1_795_453_300.0  # within the build
    os.utime(path, (fresh_s, fresh_s) if at_s is None else (at_s, at_s))
    return path


def _collect(folder: Path) -> Path:
    return artifact.collect(a_plan(folder), STARTED)


@pytest.mark.parametrize("name", ["debian.xva", "packer-debian-{{timestamp}}.xva", "sub/x.XVA"])
def test_the_one_xva_is_found_whatever_its_name(name: str, tmp_path: Path) -> None:
    path = _write(tmp_path, name)
    _write(tmp_path, "disk.raw")
    assert _collect(tmp_path) == path


@pytest.mark.parametrize("name", ["vm.xva.gz", "vm.xva.zst", "out/VM.XVA.GZ"])
def test_one_that_the_template_compressed_is_found_beside_its_sums(
    name: str, tmp_path: Path
) -> None:
    path = _write(tmp_path, name)
    _write(tmp_path, "manifest.json")
    _write(tmp_path, f"{name}.sha256")
    assert _collect(tmp_path) == path


def test_of_an_xva_and_its_compressed_copy_it_is_the_former(tmp_path: Path) -> None:
    path = _write(tmp_path, "vm.xva")
    _write(tmp_path, "vm.xva.gz")
    assert _collect(tmp_path) == path


def test_two_compressed_xvas_are_one_too_many(tmp_path: Path) -> None:
    _write(tmp_path, "one.xva.gz")
    _write(tmp_path, "two.xva.zst")
    with pytest.raises(ArtifactError, match="left 2 XVAs"):
        _collect(tmp_path)


def test_a_stale_file_is_not_taken_for_it(tmp_path: Path) -> None:
    path = _write(tmp_path, "new.xva")
    _write(tmp_path, "old.xva", at_s=BEFORE_S)
    assert _collect(tmp_path) == path


def test_only_a_stale_file_is_no_xva_of_this_build(tmp_path: Path) -> None:
    _write(tmp_path, "old.xva", at_s=BEFORE_S)
    with pytest.raises(ArtifactError, match=r"old\.xva is older than its start"):
        _collect(tmp_path)


def test_no_output_folder_and_other_files_only_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="left no XVA") as caught:
        _collect(tmp_path)
    assert caught.value.exit_code == 30
    assert 'format = "xva"' in caught.value.hint
    _write(tmp_path, "disk.vhd")
    with pytest.raises(ArtifactError, match=r"it holds disk\.vhd"):
        _collect(tmp_path)


def test_two_xvas_are_one_too_many(tmp_path: Path) -> None:
    _write(tmp_path, "a.xva")
    _write(tmp_path, "b.xva")
    with pytest.raises(ArtifactError, match=r"2 XVAs in .*: a\.xva, b\.xva"):
        _collect(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.xva"
    target.write_bytes(GOOD)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link.xva").symlink_to(target)
    with pytest.raises(ArtifactError):
        _collect(tmp_path)


def test_an_empty_file_is_an_invalid_xva(tmp_path: Path) -> None:
    _write(tmp_path, "x.xva", b"")
    with pytest.raises(XvaInvalidError, match=r"x\.xva is empty") as caught:
        _collect(tmp_path)
    assert caught.value.exit_code == 31


@pytest.mark.parametrize(
    "page",
    [
        b"\n<html><head><title>500 Internal Server Error</title></head>" + b" " * 2000,
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
        b"internal error",
    ],
)
def test_an_error_page_is_quoted(page: bytes, tmp_path: Path) -> None:
    _write(tmp_path, "x.xva", page)
    with pytest.raises(XvaInvalidError, match=r"begin with: (<html|HTTP/1\.1 500|internal error)"):
        _collect(tmp_path)


def test_names_and_pages_do_not_act_on_a_terminal(tmp_path: Path) -> None:
    _write(tmp_path, "a\x1b[2J\n.xva", b"\x1b]0;x\x07" * 40)
    with pytest.raises(XvaInvalidError) as caught:
        _collect(tmp_path)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700
