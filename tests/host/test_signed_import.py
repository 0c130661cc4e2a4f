"""``import --require-signature``: what was signed arrives, anything else leaves nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncpipe.cli import main
from tests.host.sources import xva
from tests.provenance.signed import flipped
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn


@pytest.fixture
def xapi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XapiStandIn]:
    """A host, and a folder with one signed version of debian12."""
    with running_xapi() as standin:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "debian-12.xva").write_bytes(xva(4))
        assert main.run(["key", "new"]) == 0
        assert main.run(["publish", "debian-12.xva", "-q", "--signing-key", "asyncpipe.key"]) == 0
        yield standin


def _in_statement(body: bytes) -> bytes:
    envelope = json.loads(body)
    statement = base64.b64decode(envelope["payload"])
    envelope["payload"] = base64.b64encode(flipped(statement, len(statement) // 2)).decode()
    return json.dumps(envelope).encode()


def _in_signature(body: bytes) -> bytes:
    envelope = json.loads(body)
    (signature,) = envelope["signatures"]
    signature["sig"] = base64.b64encode(flipped(base64.b64decode(signature["sig"]), 3)).decode()
    return json.dumps(envelope).encode()


SPOILED: tuple[tuple[str, Callable[[bytes], bytes], int, str], ...] = (
    ("debian12.xva", lambda body: flipped(body, 2_000_000), 41, "not what was published"),
    (
        "metadata.json",
        lambda body: flipped(body, body.index(b'"run_id"') + 12),
        44,
        "metadata.json of debian12",
    ),
    ("provenance.dsse.json", _in_statement, 44, "The statement in"),
    ("provenance.dsse.json", _in_signature, 44, "The signature"),
)


def test_a_signed_version_arrives_and_a_flipped_bit_leaves_nothing_at_the_host(
    xapi: XapiStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image,) = (tmp_path / "published").glob("templates/debian12/*/debian12.xva")
    version = f"debian12@{image.parent.name}"
    demand = ["--require-signature", "--key", "asyncpipe.key.pub"]
    for name, spoil, code, words in SPOILED:
        path = image.with_name(name)
        path.chmod(0o644)
        good = path.read_bytes()
        path.write_bytes(spoil(good))
        assert main.run(["import", version, *demand]) == code, name
        assert words in capsys.readouterr().err
        assert xapi.vms() == xapi.vdis() == []
        path.write_bytes(good)
    assert main.run(["key", "new", "-o", "other.key"]) == 0
    assert main.run(["import", version, "--key", "other.key.pub"]) == 44
    assert main.run(["import", "debian-12.xva", *demand]) == 2
    assert "has no signature" in capsys.readouterr().err
    assert xapi.vms() == []

    assert main.run(["import", version, *demand, "--as-template"]) == 0
    assert xapi.vms() == [version]
