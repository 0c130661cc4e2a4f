"""``asyncpipe import`` and ``asyncpipe host`` as a person runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncpipe.cli.main import run
from tests.e2e import forked
from tests.e2e.command import clean_environment
from tests.host.sources import xva
from tests.xapi_standin.faults import Import
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

Captured = pytest.CaptureFixture[str]
LIMIT_S = 60.0


@pytest.fixture
def xapi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[XapiStandIn]:
    with running_xapi() as standin:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        yield standin


@pytest.fixture
def published(tmp_path: Path, xapi: XapiStandIn) -> Callable[[int], Path]:
    """Publish an XVA of so many MiB as debian12; returns its file at the destination."""

    def publish(size_mib: int) -> Path:
        file = tmp_path / "built.xva"
        file.write_bytes(xva(size_mib))
        arguments = ["--os", "debian", "--os-version", "12", "--destination", "published", "-q"]
        forked.run(
            ["publish", str(file), *arguments],
            folder=tmp_path,
            environment=clean_environment(tmp_path),
            limit_s=LIMIT_S,
        ).check_returncode()
        file.unlink()
        return max((tmp_path / "published").glob("templates/debian12/*/debian12.xva"))

    return publish


Published = Callable[[int], Path]


class TestImport:
    def test_the_latest_becomes_a_template_and_is_listed(
        self, xapi: XapiStandIn, published: Published, capsys: Captured
    ) -> None:
        published(4)
        assert run(["import", "debian12", "--as-template", "--replace-latest"]) == 0
        assert xapi.vms() == ["debian12"]
        assert f"{xapi.address}: debian12 imported in" in capsys.readouterr().out
        assert run(["host", "list"]) == 0
        assert "latest" in capsys.readouterr().out

    def test_a_host_that_is_behind_is_seen(
        self, xapi: XapiStandIn, published: Published, capsys: Captured
    ) -> None:
        published(4)
        assert run(["import", "debian12", "--as-template"]) == 0
        (old,) = xapi.vms()
        time.sleep(1.1)  # versions are named by the second
        published(5)
        capsys.readouterr()
        assert run(["host", "list", "--json"]) == 0
        (version,) = json.loads(capsys.readouterr().out)["versions"]
        assert (version["version"], version["state"]) == (old, "behind")

    def test_a_changed_object_is_refused_and_leaves_nothing(
        self, xapi: XapiStandIn, published: Published, capsys: Captured
    ) -> None:
        file = published(4)
        data = bytearray(file.read_bytes())
        data[2_000_000] ^= 1
        file.chmod(0o644)
        file.write_bytes(data)
        assert run(["import", "debian12"]) == 41
        assert "not what was published" in capsys.readouterr().err
        assert xapi.vms() == xapi.vdis() == []

    def test_a_file_is_imported_as_it_is(self, xapi: XapiStandIn, tmp_path: Path) -> None:
        (tmp_path / "mine.xva").write_bytes(xva())
        assert run(["import", "mine.xva"]) == 0
        assert xapi.vms() == ["sample & co"]

    def test_a_broken_file_is_refused(
        self, xapi: XapiStandIn, tmp_path: Path, capsys: Captured
    ) -> None:
        (tmp_path / "mine.xva").write_bytes(xva()[:-700_000])
        assert run(["import", "mine.xva"]) == 31
        assert "not a valid XVA" in capsys.readouterr().err
        assert xapi.vms() == xapi.vdis() == []

    def test_a_pipe_has_no_size(self, xapi: XapiStandIn, capsys: Captured) -> None:
        assert run(["import", "/dev/null"]) == 2
        assert "size" in capsys.readouterr().err

    def test_one_host_of_two_fails_alone(
        self, xapi: XapiStandIn, tmp_path: Path, capsys: Captured
    ) -> None:
        (tmp_path / "mine.xva").write_bytes(xva())
        with running_xapi() as broken:
            broken.faults.import_ = Import.CUT
            trusted = ["--host-fingerprint", xapi.fingerprint]
            trusted += ["--host-fingerprint", broken.fingerprint]
            hosts = ["--host", xapi.address, "--host", broken.address]
            assert run(["import", "mine.xva", *hosts, *trusted, "--json"]) == 4
            assert broken.vms() == broken.vdis() == []
        document = json.loads(capsys.readouterr().out)
        assert [one["exit_code"] for one in document["imports"]] == [0, 50]
        assert xapi.vms() == ["sample & co"]

    @pytest.mark.parametrize(
        ("changes", "code", "words"),
        [
            ({"ASYNCPIPE_HOST_PASSWORD": "wrong-word"}, 42, "user name or the password"),
            ({"ASYNCPIPE_HOST_CA": ""}, 2, "is not trusted"),
            ({"ASYNCPIPE_HOST": "127.0.0.1:1"}, 50, "connection refused"),
            (
                {"ASYNCPIPE_HOST_PASSWORD": "", "PKR_VAR_remote_password": ""},
                2,
                "password is missing",
            ),
        ],
    )
    def test_bad_input_is_one_sentence(
        self,
        xapi: XapiStandIn,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: Captured,
        changes: dict[str, str],
        code: int,
        words: str,
    ) -> None:
        (tmp_path / "mine.xva").write_bytes(xva())
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        assert run(["import", "mine.xva"]) == code
        said = capsys.readouterr()
        assert words in said.err
        assert "wrong-word" not in said.err + said.out

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_leaves_nothing(
        self, xapi: XapiStandIn, tmp_path: Path, number: signal.Signals
    ) -> None:
        (tmp_path / "mine.xva").write_bytes(xva(16))
        xapi.faults.import_ = Import.STALLED
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncpipe", "import", "mine.xva"],
            cwd=tmp_path,
            env=clean_environment(tmp_path, xapi.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _wait_until(lambda: bool(xapi.vms()))
            process.send_signal(number)
            _, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        assert process.returncode == 130, err
        assert xapi.vms() == xapi.vdis() == []
        assert xapi.sessions() == 0


class TestTrust:
    def test_a_fingerprint_is_shown_stored_and_used(
        self, xapi: XapiStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
    ) -> None:
        monkeypatch.delenv("ASYNCPIPE_HOST_CA")
        assert run(["host", "trust", xapi.address, "--yes"]) == 0
        shown = capsys.readouterr().out
        assert xapi.fingerprint.upper()[:4] in shown.replace(":", "")
        assert (tmp_path / "config/asyncpipe/known_hosts").is_file()
        assert run(["host", "list"]) == 0

    def test_another_one_than_expected_is_not_stored(
        self, xapi: XapiStandIn, tmp_path: Path, capsys: Captured
    ) -> None:
        assert run(["host", "trust", xapi.address, "--fingerprint", "0" * 64]) == 2
        assert "does not have that fingerprint" in capsys.readouterr().err
        assert not (tmp_path / "config").exists()


def _wait_until(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_s, "it never came so far"
        time.sleep(0.05)
