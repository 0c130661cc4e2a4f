from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.cli import main
from asyncpipe.model import store_keys
from asyncpipe.stores.directory.store import DirectoryStore
from tests.catalog.published import MIDDLE, NEW, OLD
from tests.metadata import documents as make
from tests.xva.samples import MIB, disk, members_of, pack


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three versions of debian12; it is the default destination."""
    folder = tmp_path / "published"
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(folder))
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        store = DirectoryStore(folder)
        for timestamp in (OLD, MIDDLE, NEW):
            body = timestamp.encode()
            document = make.published(timestamp=timestamp, body=body)
            entry = catalog.entry_of(metadata.published(document))
            await store.put(entry.xva.key, body, content_type="x/x")
            await store.put(
                entry.metadata_key, metadata.encode(document), content_type="application/json"
            )
            await catalog.move_pointer(store, entry)

    anyio.run(fill)
    return folder


def _say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("shelf")
def test_what_is_published_is_listed_with_what_names_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _say(capsys, "channel", "set", "debian12:stable", MIDDLE)[0] == 0
    code, text = _say(capsys, "list")
    assert code == 0
    header, *lines = text.splitlines()
    assert header.split()[:3] == ["VERSION", "AGE", "SIZE"]
    assert [line.split()[0] for line in lines] == [
        f"debian12@{timestamp}" for timestamp in (NEW, MIDDLE, OLD)
    ]
    assert lines[0].endswith("latest")
    assert lines[1].endswith("stable")
    document = _json(capsys, "list")
    assert [version["names"] for version in document["versions"]] == [["latest"], ["stable"], []]


@pytest.mark.usefixtures("shelf")
def test_the_list_is_aligned_and_says_how_old_a_version_is_and_how_long_its_system_lives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    header, *rows = _say(capsys, "list")[1].splitlines()
    at = header.index("END OF LIFE")
    assert {row[at : at + 10] for row in rows} == {"2028-06-30"}
    assert all(row[header.index("SYSTEM") :].startswith("debian 12") for row in rows)
    assert _json(capsys, "list")["versions"][0]["end_of_life"] == "2028-06-30"
    assert "\x1b[" not in header
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1mVERSION\x1b[0m" in _say(capsys, "list")[1]


@pytest.mark.usefixtures("shelf")
def test_the_list_can_be_of_one_system(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("debian", "Debian12", "debian 12"):
        assert len(_json(capsys, "list", "--os", name)["versions"]) == 3
    assert "with the system rocky" in _say(capsys, "list", "--os", "rocky")[1]


def test_failed_builds_are_listed_with_what_went_wrong(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "No failed build is at" in _say(capsys, "list", "--failed")[1]
    document = metadata.failed(
        make.draft(),
        error="no route to host",
        exit_code=20,
        sealed=None,
        xva_report=None,
        template=make.template(),
    )
    for unit, body in (("debian-12", metadata.encode(document)), ("rocky-9", b"?")):
        folder = shelf / "failed" / unit / NEW
        folder.mkdir(parents=True)
        (folder / "metadata.json").write_bytes(body)
        (folder / "build.log").write_text("log")
    _, text = _say(capsys, "list", "--failed")
    assert f"debian-12@{NEW}" in text
    assert "20  no route to host" in text
    assert "rocky-9" in text
    assert "is unreadable" in text
    [failure] = _json(capsys, "list", "--failed", "debian-12")["failures"]
    assert failure["exit_code"] == 20


@pytest.mark.usefixtures("shelf")
def test_a_version_with_an_end_is_marked_and_then_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = f"debian12@{NEW}"
    assert _say(capsys, "expire", version, "--in", "90d")[0] == 0
    assert "expires in 89 days" in _say(capsys, "list")[1].splitlines()[1]
    assert _say(capsys, "pull", "--no-verify-xva", version, "-o", "a.xva")[0] == 0
    code, text = _say(capsys, "expire", version, "--in", "0s", "--reason", "old kernel")
    assert f"latest is debian12@{MIDDLE}" in text
    assert "EXPIRED" in _say(capsys, "list")[1].splitlines()[1]
    assert "EXPIRED: " in _say(capsys, "show", version)[1]
    code, text = _say(capsys, "pull", "--no-verify-xva", version, "-o", "b.xva")
    assert (code, "take it with --expired" in text) == (2, True)
    assert not (tmp_path / "b.xva").exists()
    assert _say(capsys, "pull", "--no-verify-xva", "--expired", version, "-o", "b.xva")[0] == 0
    assert _say(capsys, "promote", version, "--channel", "stable")[0] == 2
    assert _say(capsys, "expire", version, "--never")[1].startswith(f"{version} expires never")
    assert _say(capsys, "pull", "--no-verify-xva", version, "-o", "c.xva")[0] == 0


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("arguments", [[], ["--never", "--in", "1d"]])
def test_an_end_is_one_moment_or_never(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _say(capsys, "expire", f"debian12@{NEW}", *arguments)[0] == 2
    assert "a name that may move" in _say(capsys, "expire", "debian12", "--never")[1]


def test_a_damaged_latest_is_repaired(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shelf / store_keys.latest_key("debian12")).write_text("?")
    assert _say(capsys, "latest", "debian12")[0] == 40
    code, text = _say(capsys, "index", "repair")
    assert code == 0
    assert f"latest of debian12 is {NEW}" in text
    assert _json(capsys, "index", "repair") == {"schema_version": 1, "versions": 3, "changed": []}
    assert _say(capsys, "latest", "debian12")[0] == 0


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    "arguments",
    [
        ["latest", "debain12"],
        ["show", "debain12"],
        ["promote", "debain12", "--channel", "x"],
        ["revoke", f"debain12@{NEW}", "--reason", "x"],
        ["expire", f"debain12@{NEW}", "--never"],
        ["channel", "set", "debain12:x", NEW],
    ],
)
def test_a_mistyped_name_is_answered_with_the_one_that_was_meant(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = _say(capsys, *arguments)
    assert code == 40
    assert "debian12" in text.splitlines()[-1]


@pytest.mark.usefixtures("shelf")
def test_a_version_is_fetched_by_a_name_and_never_over_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = _say(capsys, "pull", "--no-verify-xva", f"debian12@{OLD}", "-o", "old.xva")
    assert code == 0
    assert "sha256" in text
    assert (tmp_path / "old.xva").read_bytes() == OLD.encode()
    assert _say(capsys, "pull", "--no-verify-xva", "debian12")[0] == 0
    assert (tmp_path / "debian12.xva").read_bytes() == NEW.encode()

    code, text = _say(capsys, "pull", "--no-verify-xva", "debian12")
    assert code == 2
    assert "not overwritten" in text


@pytest.mark.usefixtures("shelf")
def test_pruning_shows_first_and_removes_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing was removed" in _say(capsys, "prune", "--keep", "1")[1]
    assert len(_json(capsys, "list", "--fresh")["versions"]) == 3
    removed = _json(capsys, "prune", "--keep", "1", "--yes")["removed"]
    assert [version["timestamp"] for version in removed] == [MIDDLE, OLD]
    assert len(_json(capsys, "list")["versions"]) == 1


def test_a_lost_index_is_rebuilt(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shelf / store_keys.INDEX_KEY).write_text("lost")
    code, text = _say(capsys, "list")
    assert code == 0
    assert "unreadable" in text
    assert OLD in text
    assert _json(capsys, "index", "rebuild") == {"schema_version": 1, "versions": 3}
    assert len(_json(capsys, "list")["versions"]) == 3


@pytest.mark.usefixtures("shelf")
def test_the_latest_version_is_printed_with_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, text = _say(capsys, "latest", "debian12")
    assert code == 0
    assert text.splitlines()[0] == f"debian12@{NEW}"
    assert text.splitlines()[1].startswith("file://")


@pytest.mark.usefixtures("shelf")
def test_what_is_not_there_is_told_with_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = _say(capsys, "latest", "rocky9")
    assert code == 40
    assert "No version of rocky9" in text
    assert _say(capsys, "channel", "unset", "debian12:none")[0] == 40
    assert _say(capsys, "channel", "set", "debian12", NEW)[0] == 2


@pytest.mark.usefixtures("shelf")
def test_a_template_without_versions_is_not_told_as_an_empty_store(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, text = _say(capsys, "list", "rocky9")
    assert code == 0
    assert "No version of rocky9" in text


def test_a_file_is_named_after_the_template_whatever_the_metadata_calls_it(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shelf / f"templates/debian12/{NEW}"
    (folder / "debian12.xva").rename(folder / ".bash_profile")
    _respell(folder / "metadata.json", "debian12.xva", ".bash_profile")
    assert _say(capsys, "pull", "--no-verify-xva", f"debian12@{NEW}")[0] == 40
    (folder / ".bash_profile").rename(folder / "GNUmakefile")
    _respell(folder / "metadata.json", ".bash_profile", "GNUmakefile")
    assert _say(capsys, "pull", "--no-verify-xva", f"debian12@{NEW}")[0] == 0
    assert (tmp_path / "debian12.xva").read_text() == NEW
    assert not (tmp_path / "GNUmakefile").exists()


def _respell(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def test_what_is_fetched_is_judged_unless_that_is_forbidden(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = _say(capsys, "pull", f"debian12@{NEW}", "-o", "x.xva")
    assert code == 31
    assert "is not valid" in text
    assert list(tmp_path.glob(".x.xva*")) == []
    assert not (tmp_path / "x.xva").exists()

    image = pack(members_of([disk("Ref:1", 20 * MIB)]))
    (tmp_path / "good.xva").write_bytes(image)
    whole = ["publish", "good.xva", "--os", "debian", "--os-version", "11"]
    assert _say(capsys, *whole)[0] == 0
    code, text = _say(capsys, "pull", "debian11")
    assert code == 0
    assert "verified: size, sha256, xva" in text
    assert (tmp_path / "debian11.xva").read_bytes() == image


@pytest.mark.usefixtures("shelf")
def test_the_command_to_import_can_be_pasted_whatever_the_file_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = _say(capsys, "pull", "--no-verify-xva", f"debian12@{OLD}", "-o", "x.xva; touch pwned #")[
        1
    ]
    assert "filename='x.xva; touch pwned #'" in text


@pytest.mark.parametrize("key", ["latest.json", "channels/stable.json"])
def test_a_bad_pointer_is_named_and_the_list_is_printed(
    shelf: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    assert _say(capsys, "channel", "set", "debian12:stable", MIDDLE)[0] == 0
    (shelf / "templates/debian12" / key).write_text("1e400")
    for command in (["list"], ["list", "--fresh"], ["prune", "--keep", "1"], ["channel", "list"]):
        code, text = _say(capsys, *command)
        assert code == 0
        assert key in text or (command[0] == "channel" and key == "latest.json")
