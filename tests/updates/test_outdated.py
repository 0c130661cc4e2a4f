"""`asyncpipe outdated` against archives with signed indexes at 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path, PosixPath
from typing import Any, Self, cast

import anyio
import pytest

from asyncpipe.cli import main
from asyncpipe.updates import IndexCache
from tests.updates.archives import Archive, Row, Signer, publish

INSTALLED: tuple[Row, ...] = (
    ("bash", "5.2.15-2+b8", "amd64"),
    ("libc6", "2.36-9+deb12u10", "amd64"),
    ("openssl", "3.0.20-1~deb12u2", "amd64"),
    ("tzdata", "2026b-0+deb12u1", "all"),
    ("xe-guest-utilities", "8.4.0-1", "amd64"),
)
FIXED = ("openssl", "3.0.22-1~deb12u2", "amd64")
UPDATED = ("tzdata", "2026f-0+deb12u1", "all")


def debian(archive: Archive, *, fixes: tuple[Row, ...] = (), updates: tuple[Row, ...] = ()) -> None:
    """The three suites of Debian 12; the first one has what is installed, less the agent."""
    archive.suite("bookworm", INSTALLED[:-1])
    archive.suite("bookworm-updates", updates, packing=".gz", by_hash=False)
    archive.suite("bookworm-security", fixes, root="security")


def outdated(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main.run(["outdated", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def judged(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, document = outdated(capsys, *arguments)
    (template,) = document["templates"]
    return code, template


def test_what_the_archive_has_newer_is_named_and_security_fixes_are_told_apart(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,), updates=(UPDATED, ("bash", "5.2.15-2~bpo1", "amd64")))
    anyio.run(publish, tmp_path / "published", INSTALLED)
    code, template = judged(capsys)
    assert code == 65
    assert template["packages"] == [
        {
            "name": "openssl",
            "arch": "amd64",
            "installed": "3.0.20-1~deb12u2",
            "available": "3.0.22-1~deb12u2",
            "origin": "bookworm-security",
            "is_security": True,
        },
        {
            "name": "tzdata",
            "arch": "all",
            "installed": "2026b-0+deb12u1",
            "available": "2026f-0+deb12u1",
            "origin": "bookworm-updates",
            "is_security": False,
        },
    ]
    assert [why["kind"] for why in template["reasons"]] == ["security-updates", "updates"]
    assert template["not_indexed"] == 1
    assert main.run(["outdated"]) == 65
    text = capsys.readouterr().out
    assert "outdated  debian12@20261123T170000Z" in text
    assert "openssl 3.0.20-1~deb12u2 -> 3.0.22-1~deb12u2  bookworm-security" in text


def test_an_update_that_fixes_no_hole_is_no_reason_with_security_alone(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, updates=(UPDATED,))
    anyio.run(publish, tmp_path / "published", INSTALLED)
    assert outdated(capsys)[0] == 65
    assert outdated(capsys, "--security")[0] == 0


def test_list_show_and_page_tell_the_last_answer_with_its_day_and_ask_no_archive(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,))
    anyio.run(publish, tmp_path / "published", INSTALLED)
    assert main.run(["list"]) == 0
    assert "outdated" not in capsys.readouterr().out
    assert outdated(capsys)[0] == 65
    del archive.asked[:]
    said = f"outdated on {datetime.now(UTC):%Y-%m-%d}: lacks 1 security update: openssl"
    assert main.run(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(said)
    assert main.run(["list", "--json"]) == 0
    (version,) = json.loads(capsys.readouterr().out)["versions"]
    assert version["outdated"]["reasons"] == [{"text": "lacks 1 security update: openssl"}]
    assert main.run(["show", "debian12"]) == 0
    assert said in capsys.readouterr().out
    assert main.run(["page", "--output", "page.html"]) == 0
    assert said in (tmp_path / "page.html").read_text()
    assert archive.asked == []
    capsys.readouterr()

    debian(archive)  # the fix was withdrawn
    assert outdated(capsys, "--security")[0] == 0  # which is silent about other updates
    assert main.run(["list"]) == 0
    assert said in capsys.readouterr().out
    assert outdated(capsys)[0] == 0
    assert main.run(["list"]) == 0
    assert "outdated" not in capsys.readouterr().out
    assert main.run(["show", "debian12"]) == 0
    assert "up to date on " in capsys.readouterr().out


@pytest.mark.parametrize("body", [b"{", b"[]" * 99, b'{"schema_version": 2, "answers": 7}'])
def test_an_answer_that_is_damaged_is_none_and_one_that_cannot_be_kept_is_a_warning(
    body: bytes, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,))
    anyio.run(publish, tmp_path / "published", INSTALLED)
    assert outdated(capsys)[0] == 65
    (file,) = (tmp_path / "cache/asyncpipe/outdated").iterdir()
    file.write_bytes(body)
    assert main.run(["list"]) == 0
    assert "outdated" not in capsys.readouterr().out
    file.unlink()
    file.mkdir()
    assert main.run(["outdated"]) == 65
    assert "list and page will not show this" in capsys.readouterr().err


def test_a_fix_is_a_security_update_though_a_later_version_supersedes_it(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,), updates=(("openssl", "3.0.23-1~deb12u1", "amd64"),))
    anyio.run(publish, tmp_path / "published", INSTALLED)
    (package,) = judged(capsys, "--security")[1]["packages"]
    assert (package["available"], package["is_security"]) == ("3.0.23-1~deb12u1", True)


def test_lists_that_stay_the_same_are_fetched_once_and_damage_in_the_cache_is_healed(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,))
    anyio.run(publish, tmp_path / "published", INSTALLED)
    first = outdated(capsys)
    del archive.asked[:]
    assert outdated(capsys) == first
    assert sorted(path.rpartition("/")[2] for path in archive.asked) == ["InRelease"] * 3
    cached = list((tmp_path / "cache/asyncpipe/indexes").iterdir())
    assert len(cached) == 3
    for file in cached:
        file.write_bytes(b"damaged")
    assert outdated(capsys) == first


class Gone(PosixPath):
    """A file that was there a moment ago."""

    def is_file(self) -> bool:
        return True


class Busy(PosixPath):
    """A folder in which others rename and remove files of theirs."""

    def iterdir(self) -> Generator[Self, None, None]:
        yield from super().iterdir()
        yield cast("Self", Gone(self, ".gone.partial"))


def test_fetches_beside_each_other_do_not_trip_over_the_files_of_another(tmp_path: Path) -> None:
    class Downloads:
        async def fetch(self, url: str, *, max_bytes: int) -> bytes | None:
            raise NotImplementedError

        async def save(self, url: str, path: Path, *, max_bytes: int) -> None:
            await anyio.Path(path).write_bytes(url.encode())

    cache = IndexCache(folder=Busy(tmp_path / "indexes"), downloads=Downloads())
    digest = hashlib.sha256(b"http://127.0.0.1/x").hexdigest()
    path = anyio.run(lambda: cache.get("http://127.0.0.1/x", size_bytes=18, sha256_hex=digest))
    assert path.read_bytes() == b"http://127.0.0.1/x"


@pytest.mark.parametrize("problem", ["signer", "suite", "old", "sum", "packing", "empty"])
def test_an_index_that_is_not_to_be_believed_judges_nothing_and_says_why(
    problem: str, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive)
    anyio.run(publish, tmp_path / "published", INSTALLED)
    rows = INSTALLED[:-1]
    match problem:
        case "signer":
            archive.suite("bookworm", rows, by=Signer())
            said = "none of the distribution's keys on this machine signed it"
        case "suite":
            archive.suite("bookworm", rows, fields={"Codename": "buster", "Suite": "oldold"})
            said = "is of another suite: buster"
        case "old":
            archive.suite("bookworm", rows, fields={"Valid-Until": "Thu, 26 Nov 2020 02:22:30 UTC"})
            said = "was valid until 2020-11-26"
        case "sum":
            for file in archive.suite("bookworm", rows).glob("main/**/SHA256/*"):
                file.write_bytes(bytes(len(file.read_bytes())))
            said = "its SHA-256 is another one"
        case "packing":
            folder = archive.suite("bookworm", rows, packing="", by_hash=False)
            release = _renamed(archive, folder, "Packages", "Packages.xz")
            (folder / "InRelease").write_bytes(release)
            said = "is damaged"
        case _:
            archive.suite("bookworm", rows, fields={"Components": "universe"})
            said = "names no list of packages"
    code, template = judged(capsys)
    assert code == 66
    assert said in template["problem"]
    assert (template["packages"], template["outdated"]) == (None, False)


def _renamed(archive: Archive, folder: Path, name: str, to: str) -> bytes:
    """Sign the list of a suite again, with one of its files under another name."""
    (folder / f"main/binary-amd64/{name}").rename(folder / f"main/binary-amd64/{to}")
    signed = (folder / "InRelease").read_text()
    text = signed.partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE")[0]
    return archive.signer.inline(text.replace(name, to).encode())


def test_without_the_distributions_keys_nothing_is_believed_and_the_package_of_keys_is_named(
    archive: Archive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive.suite("noble", (), root="ubuntu")
    monkeypatch.delenv("ASYNCPIPE_KEYRINGS")
    monkeypatch.setattr("asyncpipe.updates.signed.read_keys", lambda _paths: [])
    ubuntu = {"type": "ubuntu", "version": "24.04", "codename": "noble"}
    anyio.run(lambda: publish(tmp_path / "published", INSTALLED, os=ubuntu))
    code, template = judged(capsys)
    assert code == 66
    assert "keys are not on this machine" in template["problem"]
    assert "ubuntu-keyring" in template["problem"]


def test_an_unreachable_archive_and_an_unknown_system_are_told_and_the_others_are_judged(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,))
    plan9 = {"type": "plan9", "version": "4"}
    ubuntu = {"type": "ubuntu", "version": "24.04", "codename": "noble"}

    async def fill() -> None:
        destination = tmp_path / "published"
        await publish(destination, INSTALLED)
        await publish(destination, INSTALLED, short_id="plan94", os=plan9)
        await publish(destination, INSTALLED, short_id="ubuntu24.04", os=ubuntu)
        await publish(destination, (), short_id="debian13")

    anyio.run(fill)
    code, document = outdated(capsys)
    problems = {one["template"]: one["problem"] for one in document["templates"]}
    assert code == 65
    assert problems["debian12"] is None
    assert problems["debian13"] == "The guest reported no packages when it was built."
    assert problems["plan94"] == "Where plan9 publishes its packages is not known."
    assert "ubuntu/dists/noble" in problems["ubuntu24.04"]
    assert "does not exist" in problems["ubuntu24.04"]


def test_age_and_a_changed_template_are_reasons_and_the_end_of_life_is_a_note(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive)
    template = tmp_path / "templates/debian/12/debian.pkr.hcl"
    template.parent.mkdir(parents=True)
    template.write_text('source "null" "it" {}\nbuild { sources = ["null.it"] }\n')
    commit = _committed(tmp_path)
    source = {"commit": commit, "remote": None}
    ends = {"end_of_life": "2020-01-01"}
    anyio.run(lambda: publish(tmp_path / "published", INSTALLED, source=source, os=ends))
    code, before = judged(capsys)
    assert (code, before["reasons"]) == (0, [])
    assert before["notes"] == ["the system has had no support since 2020-01-01"]
    template.write_text(f"{template.read_text()}# changed\n")
    code, after = judged(capsys, "--older-than", "1s")
    assert code == 65
    assert [why["kind"] for why in after["reasons"]] == ["template-changed", "age"]
    assert "templates/debian/12/debian.pkr.hcl" in after["reasons"][0]["text"]


def _committed(root: Path) -> str:
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for command in (["init", "-q"], ["add", "templates"], ["commit", "-qm", "it"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_revoked_latest_version_is_a_reason(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive)
    anyio.run(publish, tmp_path / "published", INSTALLED)
    assert main.run(["revoke", "debian12@20261123T170000Z", "--reason", "bad"]) == 0
    capsys.readouterr()
    code, template = judged(capsys)
    assert (code, [why["kind"] for why in template["reasons"]]) == (65, ["revoked"])


def test_matrix_plans_what_is_outdated_or_was_never_published(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(archive, fixes=(FIXED,))
    for name in ("debian-12", "debian-13", "ubuntu-24.04"):
        file = tmp_path / "templates" / name / "it.pkr.hcl"
        file.parent.mkdir(parents=True)
        os, version = name.split("-")
        source = f'source "null" "{os}{version.replace(".", "")}" {{}}'
        file.write_text(
            f'{source}\nbuild {{ sources = ["null.{os}{version.replace(".", "")}"] }}\n'
        )

    async def fill() -> None:
        destination = tmp_path / "published"
        await publish(destination, INSTALLED)
        for suite in ("trixie", "trixie-updates"):
            archive.suite(suite, INSTALLED)
        archive.suite("trixie-security", (), root="security")
        trixie = {"codename": "trixie"}
        await publish(destination, INSTALLED, short_id="debian13", os=trixie)

    anyio.run(fill)
    assert main.run(["matrix", "--outdated"]) == 0
    jobs = json.loads(capsys.readouterr().out)
    assert sorted(unit for job in jobs for unit in job["units"]) == ["debian-12", "ubuntu-24.04"]


def test_a_red_hat_system_is_judged_by_repodata_and_advisories(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: tuple[Row, ...] = (
        ("openssl", "1:3.2.2-6.el9_5", "x86_64"),
        ("kernel-core", "5.14.0-503.el9", "x86_64"),
        ("kernel-core", "5.14.0-570.el9", "x86_64"),
        ("bash", "5.1.8-9.el9", "x86_64"),
        ("tzdata", "2026a-1.el9", "noarch"),
        ("nodejs", "1:20.1.0-1.module_el9.5", "x86_64"),
    )
    base = [
        ("openssl", "1:3.2.2-7.el9_6", "x86_64"),
        ("openssl", "1:3.2.2-6.el9_5.1", "x86_64"),
        ("openssl", "2:9-1.el9", "i686"),
        ("kernel-core", "5.14.0-570.el9", "x86_64"),
        ("bash", "5.1.8-9.el9", "x86_64"),
        ("tzdata", "2026b-1.el9", "noarch"),
    ]
    archive.repository("almalinux/9/BaseOS/x86_64/os", base, fixes=base[1:2])
    stream = [("nodejs", "1:22.0.0-1.module_el9.6", "x86_64")]
    archive.repository("almalinux/9/AppStream/x86_64/os", stream)
    archive.repository("almalinux/9/extras/x86_64/os", (), signed=False)
    alma = {"type": "almalinux", "version": "9", "codename": None}
    anyio.run(lambda: publish(tmp_path / "published", installed, short_id="almalinux9", os=alma))
    code, template = judged(capsys)
    assert code == 65
    assert [
        (one["name"], one["available"], one["is_security"]) for one in template["packages"]
    ] == [("openssl", "1:3.2.2-7.el9_6", True), ("tzdata", "2026b-1.el9", False)]
    notes = " ".join(template["notes"])
    assert "extras is not signed: nothing vouches for what plain HTTP brought" in notes
    assert "1 packages belong to modules" in notes


def test_repodata_that_another_key_signed_is_refused(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("BaseOS", "AppStream", "extras"):
        archive.repository(f"almalinux/9/{name}/x86_64/os", (), by=Signer())
    alma = {"type": "almalinux", "version": "9", "codename": None}
    rows = (("bash", "5.1.8-9.el9", "x86_64"),)
    anyio.run(lambda: publish(tmp_path / "published", rows, short_id="almalinux9", os=alma))
    code, template = judged(capsys)
    assert code == 66
    assert "none of the distribution's keys" in template["problem"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mirror", "arch=https://example.invalid"), "no archive of that name"),
        (("--mirror", "debian=ftp://example.invalid"), "has to begin with https://"),
        (("--keyring", "/nowhere.gpg"), "/nowhere.gpg: no such keyring."),
        (("debain12",), "did you mean"),
    ],
)
@pytest.mark.usefixtures("archive")
def test_what_cannot_be_asked_for_is_refused(
    arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anyio.run(publish, tmp_path / "published", INSTALLED)
    assert main.run(["outdated", *arguments]) in {2, 40}
    captured = capsys.readouterr()
    assert said.lower() in f"{captured.out}{captured.err}".lower()
