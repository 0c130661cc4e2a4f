"""`packer install` from a release server on this machine: nothing unsigned is installed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from pysequoia import Cert

from asyncpipe.cli.run.packer_install import Asked, install_packer
from asyncpipe.errors import UsageError
from asyncpipe.packer.release import DEFAULT_VERSION, hashicorp_key
from asyncpipe.packer.release.names import platform_of, releases_folder
from asyncpipe.packer.release.signature import ReleaseError
from asyncpipe.stores.download import DownloadError
from tests.packer.release_server import Releases, Signer, running_releases

pytestmark = pytest.mark.anyio
VERSION = "9.9.9"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # aiohttp needs it


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    with running_releases(tmp_path / "served") as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a Packer, in an empty folder."""
    project, tools = tmp_path / "project", tmp_path / "no tools"
    project.mkdir()
    tools.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("PACKER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/asyncpipe/packer"


async def install(releases: Releases, version: str = "", key: bytes = b"") -> None:
    asked = Asked(
        version=version, templates=(), mirror=releases.url, key=key or releases.signer.key
    )
    with anyio.fail_after(60):
        await install_packer(asked)


def left(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


async def test_a_signed_release_is_installed_and_runs(
    releases: Releases, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.publish(VERSION)
    await install(releases, VERSION)
    assert left(cache) == [f"{VERSION}/packer"]
    program = cache / VERSION / "packer"  # it was run: that is its answer
    assert f"Packer {VERSION} at {program}: signed" in capsys.readouterr().out


async def test_an_installed_release_is_not_fetched_again(releases: Releases, cache: Path) -> None:
    releases.publish(VERSION)
    await install(releases, VERSION)
    releases.asked.clear()
    await install(releases, f"v{VERSION}")
    assert releases.asked == []
    assert left(cache) == [f"{VERSION}/packer"]


async def test_an_archive_that_differs_from_its_sum_is_refused(
    releases: Releases, cache: Path
) -> None:
    folder = releases.publish(VERSION)
    archive = next(folder.glob("*.zip"))
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(ReleaseError, match="is not what HashiCorp signed"):
        await install(releases, VERSION)
    assert left(cache) == []


async def test_sums_that_another_key_signed_are_refused(releases: Releases, cache: Path) -> None:
    releases.publish(VERSION)
    with pytest.raises(ReleaseError, match="did not sign"):
        await install(releases, VERSION, key=Signer().key)
    assert left(cache) == []
    assert not any(path.endswith(".zip") for path in releases.asked)


async def test_sums_that_were_changed_after_they_were_signed_are_refused(
    releases: Releases, cache: Path
) -> None:
    folder = releases.publish(VERSION)
    sums = folder / f"packer_{VERSION}_SHA256SUMS"
    sums.write_bytes(sums.read_bytes().replace(b"0" * 64, b"1" * 64))
    with pytest.raises(ReleaseError, match="did not sign"):
        await install(releases, VERSION)
    assert left(cache) == []


@pytest.mark.parametrize("signature", [b"", b"<html>Sign in</html>", None])
async def test_unsigned_sums_are_refused(
    releases: Releases, cache: Path, signature: bytes | None
) -> None:
    folder = releases.publish(VERSION)
    file = folder / f"packer_{VERSION}_SHA256SUMS.sig"
    file.unlink() if signature is None else file.write_bytes(signature)
    with pytest.raises(UsageError, match="404" if signature is None else "did not sign"):
        await install(releases, VERSION)
    assert left(cache) == []


async def test_an_unknown_version_is_refused_with_its_address(releases: Releases) -> None:
    releases.publish(VERSION)
    with pytest.raises(DownloadError, match=r"packer/8\.0\.0/.*404"):
        await install(releases, "8.0.0")
    with pytest.raises(UsageError, match="not a version"):
        await install(releases, "../../etc")


async def test_the_default_is_the_version_that_is_tested(releases: Releases, cache: Path) -> None:
    releases.publish(DEFAULT_VERSION)
    releases.publish(VERSION)
    await install(releases)
    assert left(cache) == [f"{DEFAULT_VERSION}/packer"]


async def test_the_projects_required_version_decides(releases: Releases, cache: Path) -> None:
    for version in ("1.9.4", "1.9.10", DEFAULT_VERSION):
        releases.publish(version)
    _project('"~> 1.9.1"')
    await install(releases)
    assert left(cache) == ["1.9.10/packer"]


async def test_a_required_version_that_nothing_meets_is_said(releases: Releases) -> None:
    releases.publish(VERSION)
    _project('"> 10"')
    with pytest.raises(ReleaseError, match="> 10"):
        await install(releases)


async def test_nothing_is_installed_while_one_on_path_fits(
    releases: Releases, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _on_path(tmp_path, "1.8.0")
    _project('">= 1.8.0"')
    await install(releases)
    assert releases.asked == []
    assert "nothing to install" in capsys.readouterr().out


async def test_one_on_path_that_is_too_old_does_not_count(
    releases: Releases, cache: Path, tmp_path: Path
) -> None:
    releases.publish(DEFAULT_VERSION)
    _on_path(tmp_path, "1.6.6")
    _project('">= 1.8.0"')
    await install(releases)
    assert left(cache) == [f"{DEFAULT_VERSION}/packer"]


async def test_two_installations_at_once_leave_one_whole_program(
    releases: Releases, cache: Path
) -> None:
    releases.publish(VERSION)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(install, releases, VERSION)
        tasks.start_soon(install, releases, VERSION)
    assert left(cache) == [f"{VERSION}/packer"]
    assert os.listdir(cache) == [VERSION]  # noqa: PTH208


async def test_an_archive_without_the_program_is_refused(releases: Releases, cache: Path) -> None:
    folder = releases.publish(VERSION)
    archive = next(folder.glob("*.zip"))
    archive.write_bytes(b"no zip at all")
    sums = f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n".encode()
    (folder / f"packer_{VERSION}_SHA256SUMS").write_bytes(sums)
    signature = folder / f"packer_{VERSION}_SHA256SUMS.sig"
    signature.write_bytes(releases.signer.signature(sums))
    with pytest.raises(ReleaseError, match="no program called packer"):
        await install(releases, VERSION)
    assert left(cache) == []


async def test_a_proxy_of_the_environment_is_used(
    releases: Releases, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.publish(VERSION)
    monkeypatch.setenv("http_proxy", releases.url)  # it is asked for the whole URL
    asked = Asked(
        version=VERSION,
        templates=(),
        mirror="http://releases.example.org",
        key=releases.signer.key,
    )
    with pytest.raises(DownloadError), anyio.fail_after(60):
        await install_packer(asked)
    assert releases.asked[0].startswith("http://releases.example.org/packer/")


def test_the_command_takes_the_mirror_from_its_variable_and_trusts_hashicorp_alone(
    releases: Releases, cache: Path
) -> None:
    releases.publish(VERSION)
    ended = subprocess.run(
        [sys.executable, "-m", "asyncpipe", "packer", "install", VERSION],
        env={**os.environ, "ASYNCPIPE_PACKER_MIRROR": releases.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "HashiCorp's key did not sign" in ended.stderr
    assert left(cache) == []


def test_the_key_in_the_package_is_hashicorps() -> None:
    found = Cert.from_bytes(hashicorp_key())
    assert found.fingerprint.upper() == "C874011F0AB405110D02105534365D9472D7468F"


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux_amd64"),
        ("Linux", "aarch64", "linux_arm64"),
        ("Darwin", "arm64", "darwin_arm64"),
        ("FreeBSD", "amd64", "freebsd_amd64"),
    ],
)
def test_platforms_have_hashicorps_names(system: str, machine: str, expected: str) -> None:
    assert platform_of(system, machine) == expected


def test_a_machine_without_a_release_is_said() -> None:
    with pytest.raises(UsageError, match="riscv64"):
        platform_of("Linux", "riscv64")


def test_the_cache_is_where_xdg_says() -> None:
    home = {"HOME": "/home/me"}
    assert releases_folder(home) == Path("/home/me/.cache/asyncpipe/packer")
    assert releases_folder({**home, "XDG_CACHE_HOME": "/c"}) == Path("/c/asyncpipe/packer")
    assert releases_folder({**home, "XDG_CACHE_HOME": "c"}) == Path(
        "/home/me/.cache/asyncpipe/packer"
    )
    assert releases_folder({}) is None


def _project(required_version: str) -> None:
    folder = Path("templates/x")
    folder.mkdir(parents=True)
    text = f'packer {{\n  required_version = {required_version}\n}}\nsource "null" "x" {{}}\n'
    (folder / "x.pkr.hcl").write_text(text, encoding="utf-8")


def _on_path(tmp_path: Path, version: str) -> None:
    program = tmp_path / "no tools/packer"
    program.write_text(f"#!/bin/sh\necho Packer v{version}\n", encoding="utf-8")
    program.chmod(0o755)
