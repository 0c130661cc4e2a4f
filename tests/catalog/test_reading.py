"""``asyncpipe show, diff, logs, sbom``: what a published version holds, for people and machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.cli import main
from asyncpipe.stores.directory.store import DirectoryStore
from tests.catalog.published import NEW, OLD
from tests.metadata import documents as make

LOG = "2026-11-23T17:00:00.000Z ==> building\n2026-11-23T17:00:01.000Z \x1b]0;evil\x07done\n"


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two versions of debian12 that differ, one of them with a log, and a failed build."""
    folder = tmp_path / "published"
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(folder))
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        store = DirectoryStore(folder)
        for timestamp in (OLD, NEW):
            document: Any = make.published(timestamp=timestamp, body=timestamp.encode())
            if timestamp == NEW:
                document["guest"]["kernel"] = "6.1.0-40-amd64"
                document["packages"] = [
                    {"name": "bash", "version": "5.2.15-2+b9", "arch": "amd64"},
                    {"name": "libc6", "version": "2.36-9+deb12u10", "arch": "amd64"},
                    {"name": "zsh", "version": "5.9-4", "arch": "amd64"},
                ]
            entry = catalog.entry_of(metadata.published(document))
            await store.put(entry.xva.key, timestamp.encode(), content_type="x/x")
            await store.put(
                f"{entry.folder_key}/build.log", LOG.encode(), content_type="text/plain"
            )
            await store.put(
                entry.metadata_key, metadata.encode(document), content_type="application/json"
            )
            await catalog.move_pointer(store, entry)
        for timestamp in (OLD, NEW):
            key = f"failed/debian-12/{timestamp}/build.log"
            await store.put(key, f"failed at {timestamp}\n".encode(), content_type="text/plain")
        for number in (2, 10):  # of a run that was resumed and failed again
            again = f"failed/rocky-9/{NEW}/build-{number}.log"
            await store.put(again, f"attempt {number}\n".encode(), content_type="text/plain")

    anyio.run(fill)
    return folder


def _say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_show_names_system_packages_digest_checks_and_origin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["channel", "set", "debian12:stable", NEW]) == 0
    capsys.readouterr()
    code, out, _ = _say(capsys, "show", "debian12")
    assert code == 0
    rows = {line[:12].strip(): line[14:] for line in out.splitlines()}
    assert rows["version"] == f"debian12@{NEW}"
    assert rows["named by"] == "latest, stable"
    assert rows["system"] == "Debian GNU/Linux 12 (bookworm)"
    assert rows["kernel"] == "6.1.0-40-amd64"
    assert rows["packages"] == "3"
    assert rows["verified"] == "crc64nvme, size"
    assert rows["commit"].startswith("0123456789abcdef")
    document = json.loads(_say(capsys, "show", "debian12", "--json")[1])
    assert document["names"] == ["latest", "stable"]
    assert document["version"]["timestamp"] == NEW


def test_diff_lists_packages_that_came_went_and_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = _say(capsys, "diff", f"debian12@{OLD}", "debian12")
    assert code == 0
    assert err == ""
    lines = [line.strip() for line in out.splitlines()]
    assert "kernel: 6.1.0-37-amd64 -> 6.1.0-40-amd64" in lines
    assert "packages: 1 added, 0 removed, 1 changed" in lines
    assert "~ bash 5.2.15-2+b8 -> 5.2.15-2+b9" in lines
    assert "+ zsh 5.9-4" in lines
    assert not [line for line in lines if "libc6" in line]
    back = json.loads(_say(capsys, "diff", "debian12", f"debian12@{OLD}", "--json")[1])
    assert {"name": "zsh", "before": "5.9-4", "after": None} in back["packages"]


def test_a_version_is_no_different_from_itself(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(_say(capsys, "diff", "debian12", "debian12", "--json")[1])
    assert document["fields"] == document["packages"] == []


def test_packages_that_one_version_does_not_list_are_no_claim(
    capsys: pytest.CaptureFixture[str], shelf: Path
) -> None:
    path = shelf / f"templates/debian12/{OLD}/metadata.json"
    document = json.loads(path.read_text())
    document["packages"] = []
    path.write_text(json.dumps(document))
    err = _say(capsys, "diff", f"debian12@{OLD}", "debian12")[2]
    assert "does not list all its packages" in err


def test_the_same_package_for_two_architectures_is_two() -> None:
    base: Any = {**make.published(timestamp=NEW, body=b"x")}
    both = [{"name": "libc6", "version": "1", "arch": arch} for arch in ("amd64", "i386")]
    newer = [both[0], {**both[1], "version": "2"}]
    found = catalog.compare({**base, "packages": both}, {**base, "packages": newer})
    (change,) = found.packages
    assert (change.name, change.before, change.after) == ("libc6:i386", "1", "2")


def test_logs_prints_the_log_of_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _say(capsys, "logs", f"debian12@{OLD}")
    assert (code, out) == (0, LOG)  # what acts on a terminal is escaped where it is printed


def test_logs_of_a_failed_build_are_those_of_the_newest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _say(capsys, "logs", "--failed", "debian-12")[1] == f"failed at {NEW}\n"
    assert _say(capsys, "logs", "--failed", "rocky-9")[1] == "attempt 10\n"
    code, _, err = _say(capsys, "logs", "--failed", "debian-13")
    assert code == 2
    assert "No failed build of debian-13" in err


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_the_bill_of_materials_names_every_package_once(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    document = json.loads(_say(capsys, "sbom", "debian12", "--format", form)[1])
    if form == "cyclonedx":
        names = [(one["name"], one["version"]) for one in document["components"]]
    else:
        assert document["spdxVersion"] == "SPDX-2.3"
        names = [(one["name"], one["versionInfo"]) for one in document["packages"][1:]]
        related = [one["relatedSpdxElement"] for one in document["relationships"]]
        assert related == [one["SPDXID"] for one in document["packages"]]
        assert document["creationInfo"]["created"].endswith("Z")
    assert names == [("bash", "5.2.15-2+b9"), ("libc6", "2.36-9+deb12u10"), ("zsh", "5.9-4")]


@pytest.mark.parametrize("command", [["show"], ["logs"], ["sbom"], ["diff", "debian12"]])
def test_an_unknown_name_ends_with_40_and_what_may_be_meant(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    code, _, err = _say(capsys, *command, "debian-12")
    assert code == 40
    assert "debian12" in err


def test_the_catalogue_hands_out_every_name_whichever_of_its_modules_was_imported_first() -> None:
    code = (
        "import asyncpipe.catalog.pruning, asyncpipe.catalog as c;"
        "names = set(' '.join(c._NAMES.values()).split());"
        "assert set(c.__all__) == names, set(c.__all__) ^ names;"
        "assert all(callable(getattr(c, n)) or n == 'BAD' for n in c.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
