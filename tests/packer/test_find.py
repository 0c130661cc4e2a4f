"""Which Packer builds: the one that was named, else the one on PATH, else an installed one."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import replace
from pathlib import Path

import pytest

from asyncpipe.errors import PackerMissingError, UsageError
from asyncpipe.model.template import Template
from asyncpipe.packer.locate import FoundPacker, find_packer
from asyncpipe.system.environment import with_home
from asyncpipe.testing.processes import Script, ScriptedProcessRunner

pytestmark = pytest.mark.anyio
DEMO = Template(
    path=Path("templates/demo"), folder=Path("templates/demo"), kind="hcl2", files=(), sha256_hex=""
)
DEBIAN = replace(
    DEMO,
    path=Path("templates/debian/12"),
    required_versions=(">= 1.8.0",),
    required_plugins={"github.com/vatesfr/xenserver": "~> 0.11.4"},
)


def which(name: str, path: str | None = None) -> str | None:
    return {"packer": "/usr/bin/packer", "/opt/packer": "/opt/packer"}.get(name)


def nothing(_name: str, path: str | None = None) -> str | None:
    return None


def versions(*numbers: str) -> ScriptedProcessRunner:
    return ScriptedProcessRunner(
        [Script(output=[(0, f"Packer v{number}\n".encode())]) for number in numbers]
    )


def installed(home: Path, *numbers: str) -> dict[str, str]:
    for number in numbers:
        program = home / ".cache/asyncpipe/packer" / number / "packer"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
    return {"HOME": str(home)}


async def test_packer_is_found_where_it_was_named_or_on_the_path() -> None:
    for explicit, environment, path in [
        (None, {}, "/usr/bin/packer"),
        ("/opt/packer", {}, "/opt/packer"),
        (None, {"PACKER": "/opt/packer"}, "/opt/packer"),
    ]:
        found = await find_packer(explicit, environment, which, versions("1.16.0"))
        assert found == FoundPacker(path=Path(path), version="1.16.0")
    with pytest.raises(PackerMissingError, match="/nowhere"):
        await find_packer("/nowhere", {}, which, versions("1.16.0"))


async def test_without_packer_the_message_has_the_command() -> None:
    with pytest.raises(PackerMissingError) as caught:
        await find_packer(None, {}, nothing, versions())
    assert "asyncpipe packer install" in caught.value.hint
    assert caught.value.exit_code == 2


async def test_the_command_is_the_one_that_this_user_has() -> None:
    with pytest.raises(PackerMissingError) as caught:
        await find_packer(None, {"ASYNCPIPE_PROGRAM": "bin/asyncpipe"}, nothing, versions())
    assert "Run: bin/asyncpipe packer install." in caught.value.hint


async def test_debians_packer_serves_the_demo_and_is_refused_for_real_templates() -> None:
    found = await find_packer(None, {}, which, versions("1.6.6"), [DEMO])
    assert found.version == "1.6.6"
    with pytest.raises(PackerMissingError) as caught:
        await find_packer(None, {}, which, versions("1.6.6"), [DEMO, DEBIAN])
    message = "templates/debian/12 needs Packer >= 1.8.0; /usr/bin/packer is 1.6.6."
    assert caught.value.message == message
    assert "asyncpipe packer install" in caught.value.hint


async def test_a_template_with_plugins_needs_a_packer_that_can_install_them() -> None:
    bare = replace(DEBIAN, required_versions=())
    with pytest.raises(PackerMissingError, match=re.escape(">= 1.7.0")):
        await find_packer(None, {}, which, versions("1.6.6"), [bare])


async def test_the_newest_installed_release_that_fits_takes_the_place_of_an_old_one(
    tmp_path: Path,
) -> None:
    environment = installed(tmp_path, "1.9.0", "1.16.0")
    runner = versions("1.6.6", "1.16.0")
    found = await find_packer(None, environment, which, runner, [DEBIAN])
    assert found.path == tmp_path / ".cache/asyncpipe/packer/1.16.0/packer"


async def test_a_good_packer_on_path_comes_before_an_installed_one(tmp_path: Path) -> None:
    environment = installed(tmp_path, "1.16.0")
    found = await find_packer(None, environment, which, versions("1.9.0"), [DEBIAN])
    assert found.path == Path("/usr/bin/packer")


async def test_cracklibs_packer_on_path_does_not_hide_an_installed_one(tmp_path: Path) -> None:
    environment = installed(tmp_path, "1.16.0")
    runner = ScriptedProcessRunner(
        [Script(output=[(0, b"0 0\n")]), Script(output=[(0, b"Packer v1.16.0\n")])]
    )
    found = await find_packer(None, environment, which, runner, [DEBIAN])
    assert found.version == "1.16.0"


async def test_a_named_packer_that_does_not_fit_is_refused_whatever_is_installed(
    tmp_path: Path,
) -> None:
    environment = installed(tmp_path, "1.16.0")
    with pytest.raises(PackerMissingError, match=re.escape("/opt/packer is 1.6.6")):
        await find_packer("/opt/packer", environment, which, versions("1.6.6"), [DEBIAN])


async def test_a_tmpdir_too_long_for_the_sockets_of_plugins_is_refused() -> None:
    """A longer one lets Packer crash: "bind: invalid argument"."""
    fits = {"TMPDIR": "/" + "x" * 82}
    assert (await find_packer(None, fits, which, versions("1.16.0"))).version == "1.16.0"
    with pytest.raises(UsageError, match="TMPDIR is too long for Packer: 84 bytes"):
        await find_packer(None, {"TMPDIR": "/" + "x" * 83}, which, versions("1.16.0"))


@pytest.mark.parametrize("home", [None, ""])
def test_a_home_that_is_not_set_comes_from_the_account_database(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    assert with_home()["HOME"] == pwd.getpwuid(os.getuid()).pw_dir


def test_a_home_that_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert with_home()["HOME"] == "/somewhere"
