"""verify, inspect, extract and xva create as a person calls them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asyncpipe.cli.main import run
from asyncpipe.stores.directory.store import DirectoryStore
from tests.xva.damaging import GOOD

CUT = GOOD[: len(GOOD) - 2000]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.xva"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    path = tmp_path / "cut.xva"
    path.write_bytes(CUT)
    return path


def test_verify_accepts_and_says_what_is_inside(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(good)]) == 0
    out = capsys.readouterr().out
    assert "accepted" in out
    assert '"sample & co", 2 disks, 5 chunks verified (xxh64)' in out


def test_verify_of_several_files_ends_with_31_when_one_is_bad(
    good: Path, cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(cut), "/nowhere/x.xva", str(good)]) == 31
    captured = capsys.readouterr()
    assert "cut.xva: REJECTED truncated: " in captured.out
    assert "good.xva: accepted" in captured.out
    assert "/nowhere/x.xva cannot be read: No such file" in captured.err


def test_verify_as_json_is_one_object_per_line(
    good: Path, cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "--json", str(good), str(cut)]) == 31
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["verdict"], second["verdict"]) == ("accept", "reject")
    assert first["disks"][0]["virtual_size_bytes"] == 3_670_016
    assert second["findings"][0]["code"] == "truncated"


def test_a_missing_file_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "/nowhere/x.xva"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_inspect_lists_the_disks_from_the_description_alone(
    cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(cut)]) == 0
    out = capsys.readouterr().out
    assert "sample & co" in out
    assert "firmware uefi" in out
    assert "Disk 1      1.5 MiB  disk" in out
    assert run(["inspect", "--json", str(cut)]) == 0
    assert json.loads(capsys.readouterr().out)["disks"][0]["number"] == 0


def test_inspect_of_something_else_ends_with_31(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.xva"
    page.write_text("<html>" + "no " * 400)
    assert run(["inspect", str(page)]) == 31
    assert "web or XML page" in capsys.readouterr().err


def test_create_verify_extract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, xva, back = (tmp_path / name for name in ("a,b.raw", "a.xva", "b.raw"))
    raw.write_bytes(b"boot" * 128 + bytes(3_000_000 - 512 + 320) + b"end!" * 16)
    command = ["xva", "create", "--name", "demo", "--memory", "2GiB", "--compress", "zstd"]
    assert run([*command, "--disk", f"{raw},root", "-o", str(xva)]) == 0
    assert run(["verify", str(xva)]) == 0
    assert run(["inspect", str(xva)]) == 0
    assert "root" in capsys.readouterr().out
    assert run(["extract", str(xva), "--disk", "0", "-o", str(back)]) == 0
    content = raw.read_bytes()
    assert back.read_bytes() == content + bytes(-len(content) % 512)
    assert run([*command, "--disk", str(raw), "-o", str(xva)]) == 2
    assert run(["extract", str(xva), "-o", str(back)]) == 2


needs_qemu_img = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not installed (qemu-utils)"
)


@pytest.fixture
def two_disks(tmp_path: Path) -> Path:
    """An XVA with one disk of an odd size: 3 MiB and a sector, mostly holes."""
    raw, xva = tmp_path / "raw", tmp_path / "two.xva"
    raw.write_bytes(b"boot" * 128 + bytes(3 * 1024 * 1024 - 512) + b"end!" * 128)
    command = ["xva", "create", "--name", "demo", "--disk", str(raw)]
    assert run([*command, "-o", str(xva)]) == 0
    return xva


@needs_qemu_img
@pytest.mark.parametrize(
    ("format_", "driver"), [("qcow2", "qcow2"), ("vhd", "vpc"), ("vmdk", "vmdk")]
)
def test_a_disk_is_extracted_in_the_format_of_another_platform(
    two_disks: Path, tmp_path: Path, format_: str, driver: str
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    made = folder / f"disk.{format_}"
    assert run(["extract", str(two_disks), "-o", str(made)]) == 0
    assert list(folder.iterdir()) == [made]
    raw = tmp_path / "raw"
    compare = ["qemu-img", "compare", "-f", "raw", "-F", driver, str(raw), str(made)]
    subprocess.run(compare, check=True, timeout=60)
    info = ["qemu-img", "info", "-f", driver, "--output=json", str(made)]
    said = json.loads(subprocess.run(info, check=True, capture_output=True, timeout=60).stdout)
    assert said["virtual-size"] == raw.stat().st_size
    assert run(["extract", str(two_disks), "-o", str(made)]) == 2


@needs_qemu_img
def test_the_format_can_be_named_whatever_the_file_is_called(
    two_disks: Path, tmp_path: Path
) -> None:
    made = tmp_path / "image"
    assert run(["extract", str(two_disks), "--format", "qcow2", "-o", str(made)]) == 0
    assert made.read_bytes().startswith(b"QFI\xfb")


@needs_qemu_img
def test_of_a_damaged_xva_no_converted_disk_is_left(cut: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    assert run(["extract", str(cut), "-o", str(folder / "disk.qcow2")]) == 31
    assert list(folder.iterdir()) == []


def test_a_converter_that_fails_says_why_and_leaves_nothing(
    two_disks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\nfor target; do :; done\n: >$target\necho no room >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert run(["extract", str(two_disks), "-o", str(folder / "disk.vmdk")]) == 2
    assert "qemu-img could not write disk.vmdk: no room" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_without_qemu_img_its_packages_are_named(
    two_disks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert run(["extract", str(two_disks), "-o", str(tmp_path / "disk.vhd")]) == 2
    assert "qemu-utils" in capsys.readouterr().err


def test_a_failed_create_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "a.xva"
    missing = str(tmp_path / "missing.raw")
    assert run(["xva", "create", "--name", "x", "--disk", missing, "-o", str(target)]) == 2
    assert not target.exists()


def test_create_works_in_a_pipe(tmp_path: Path) -> None:
    raw = tmp_path / "a.raw"
    raw.write_bytes(b"x" * 2_000_384)
    command = [sys.executable, "-m", "asyncpipe"]
    options = ["--name", "x", "--disk", str(raw), "--limit-rate", "1GiB"]
    create = [*command, "xva", "create", *options, "-o", "-"]
    made = subprocess.run(create, capture_output=True, check=True, timeout=60)
    assert made.stderr == b""
    checked = subprocess.run(
        [*command, "verify", "-"],
        input=made.stdout,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_extract_from_a_source_that_hangs_ends_at_a_signal_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    made = tmp_path / "disk.raw"
    command = [sys.executable, "-m", "asyncpipe", "extract", "-", "-o", str(made)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(CUT)  # more than a pipe holds: it reads, and then waits for the rest
        child.stdin.flush()
        while not made.exists():
            assert child.poll() is None
        child.send_signal(number)
        try:
            assert child.wait(timeout=30) == 130
        finally:
            child.kill()
        assert child.stderr is not None
        assert child.stderr.read().strip() == b"asyncpipe: interrupted"
    assert list(tmp_path.iterdir()) == []


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in {"/good.xva", "/cut.xva", "/broken.xva"}:
            self.send_error(403 if path == "/secret" else 404)
            return
        body = CUT if path == "/cut.xva" else GOOD
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-100_000] if path == "/broken.xva" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_verify_reads_from_a_web_server(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", f"{server}/good.xva?signature=hunter2"]) == 0
    assert run(["verify", f"{server}/cut.xva"]) == 31
    assert "hunter2" not in capsys.readouterr().out


def test_a_download_that_breaks_off_says_nothing_about_the_xva(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", f"{server}/broken.xva"]) == 40
    assert "broke off 100,000 bytes before its end" in capsys.readouterr().err


def test_what_a_server_refuses_has_its_own_exit_codes(server: str) -> None:
    assert run(["verify", f"{server}/nothing"]) == 40
    assert run(["verify", f"{server}/secret"]) == 42
    assert run(["verify", "http://127.0.0.1:9/closed"]) == 40


def test_verify_reads_from_a_store(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    @asynccontextmanager
    async def open_store(url: str, **_: object) -> AsyncIterator[DirectoryStore]:
        asked.append(url)
        yield DirectoryStore(good.parent)

    monkeypatch.setattr("asyncpipe.stores.open.open_store", open_store)
    assert run(["verify", "s3://bucket/some/folder/good.xva"]) == 0
    assert asked == ["s3://bucket/some/folder/"]
    assert run(["verify", "s3://bucket/nothing.xva"]) == 40
    assert run(["verify", "s3://bucket"]) == 2
    assert "names no object" in capsys.readouterr().err
