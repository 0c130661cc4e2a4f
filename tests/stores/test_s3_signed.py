"""Signed versions in S3: published by the command, pulled and verified, refused when changed."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from asyncpipe.cli import main
from asyncpipe.stores.open import open_store
from tests.provenance.signed import flipped, image
from tests.s3_standin.standin import StandIn
from tests.stores.small_servers import running_small


def roundtrip(
    destination: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**environment, "ASYNCPIPE_DESTINATION": destination}.items():
        monkeypatch.setenv(name, value)
    Path("debian-12.xva").write_bytes(image())
    assert main.run(["key", "new"]) == 0
    assert main.run(["publish", "debian-12.xva", "-q", "--signing-key", "asyncpipe.key"]) == 0
    demand = ["--key", "asyncpipe.key.pub"]
    promoted = ["promote", "debian12", "--channel", "stable", "--require", "signature", *demand]
    assert main.run(promoted) == 0
    capsys.readouterr()
    assert main.run(["verify", "debian12:stable", "--signature", *demand, "--json"]) == 0
    named = json.loads(capsys.readouterr().out)["version"]
    assert main.run(["pull", "debian12:stable", *demand]) == 0
    assert Path("debian12.xva").read_bytes() == image()
    assert "signature" in capsys.readouterr().out

    async def spoil() -> None:
        async with open_store(destination, environment=environment) as store:
            key = named["metadata_key"]
            stored = await store.get(key, max_bytes=1 << 20)
            body = flipped(stored.body, stored.body.index(b'"run_id"') + 12)
            await store.put(key, body, content_type="application/json")

    anyio.run(spoil)
    assert main.run(["pull", "debian12", *demand, "-o", "again.xva"]) == 44
    assert "metadata.json of debian12" in capsys.readouterr().err
    assert not Path("again.xva").exists()


def test_a_signed_version_makes_the_round_trip_over_the_strict_server(
    standin: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    roundtrip(standin.destination, standin.environment, monkeypatch, capsys)


@pytest.mark.heavy
def test_a_signed_version_makes_the_round_trip_over_minio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with running_small("minio", tmp_path) as (server, _):
        roundtrip(f"s3://{server.bucket}/p", dict(server.environment), monkeypatch, capsys)
