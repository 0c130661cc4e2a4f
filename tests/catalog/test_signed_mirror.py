"""A mirror passes signatures on: what was signed at the source verifies at the target."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from asyncpipe.cli import main
from asyncpipe.provenance.keys import SigningKey
from asyncpipe.stores.directory.store import DirectoryStore
from tests.catalog.published import NEW
from tests.provenance.signed import publish_signed


def test_a_mirrored_version_verifies_by_its_name_and_by_its_timestamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    key = SigningKey.new()
    (tmp_path / "key.pub").write_bytes(key.public.pem)
    anyio.run(publish_signed, DirectoryStore(tmp_path / "source"), NEW, key)

    assert main.run(["mirror", "source", "target"]) == 0

    for name in ("debian12", f"debian12@{NEW}"):
        arguments = ["verify", name, "--signature", "--key", "key.pub", "--destination", "target"]
        assert main.run(arguments) == 0, capsys.readouterr().err
    envelope = f"templates/debian12/{NEW}/provenance.dsse.json"
    assert (tmp_path / "target" / envelope).read_bytes() == (
        tmp_path / "source" / envelope
    ).read_bytes()
