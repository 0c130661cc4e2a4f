"""The address that ``url`` prints really downloads, from anybody, and only what it names."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.cli import main
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.stores.open import open_store
from tests.catalog.published import NEW
from tests.metadata import documents as make
from tests.s3_standin.standin import StandIn
from tests.stores.small_servers import running_small

BODY = b"an XVA of some kind"
KEY = f"templates/debian12/{NEW}/debian12.xva"


async def publish_one(store: ObjectStore) -> None:
    document = make.published(timestamp=NEW, body=BODY)
    entry = catalog.entry_of(metadata.published(document))
    await store.put(entry.xva.key, BODY, content_type="application/octet-stream")
    await store.put(entry.metadata_key, metadata.encode(document), content_type="application/json")
    await catalog.move_pointer(store, entry)


def destination_with_one(
    destination: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> None:
        async with open_store(destination, environment=environment) as store:
            await publish_one(store)

    anyio.run(fill)
    for name, value in {**environment, "ASYNCPIPE_DESTINATION": destination}.items():
        monkeypatch.setenv(name, value)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def refused(url: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetched(url)
    caught.value.close()
    return caught.value.code


def test_the_printed_address_downloads_and_the_commands_are_ready_for_a_shell(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destination_with_one(standin.destination, standin.environment, monkeypatch)
    assert main.run(["url", "debian12", "--expires", "90m"]) == 0
    lines = capsys.readouterr().out.splitlines()
    url = lines[0]
    assert url.startswith(f"{standin.endpoint_url}/")
    assert fetched(url) == BODY
    xe, curl, orchestra = lines[2:5]
    assert shlex.split(xe.removeprefix("xe: ")) == ["xe", "vm-import", f"url={url}"]
    assert shlex.split(curl.removeprefix("curl: "))[-2:] == ["debian12.xva", url]
    assert orchestra.endswith(url)
    secret = standin.environment["AWS_SECRET_ACCESS_KEY"]
    assert secret not in "\n".join(lines)

    assert refused(url.replace("debian12.xva", "metadata.json")) == 403
    assert refused(re.sub("X-Amz-Expires=[0-9]+", "X-Amz-Expires=90000", url)) == 403
    assert refused(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}{urlsplit(url).path}") == 403


def test_seven_days_is_the_most_and_json_has_the_same_address(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destination_with_one(standin.destination, standin.environment, monkeypatch)
    for bad in ("8d", "0s", "0.2s"):
        assert main.run(["url", "debian12", "--expires", bad]) == 2
        assert "seven days" in capsys.readouterr().err
    assert main.run(["url", "debian12", "--expires", "7d", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert fetched(document["url"]) == BODY
    assert "X-Amz-Expires=604800" in document["url"]
    assert document["commands"]["xe"].endswith(shlex.quote(document["url"]))


def test_temporary_credentials_are_a_warning_since_the_address_ends_with_them(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destination_with_one(standin.destination, standin.environment, monkeypatch)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-a-session")
    assert main.run(["url", "debian12"]) == 0
    captured = capsys.readouterr()
    assert "ends when they do" in captured.err
    assert fetched(captured.out.splitlines()[0]) == BODY


def test_an_image_that_is_gone_and_a_folder_have_no_address(
    standin: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    destination_with_one(standin.destination, standin.environment, monkeypatch)

    async def lose() -> None:
        async with open_store(standin.destination, environment=standin.environment) as store:
            await store.delete(KEY)

    anyio.run(lose)
    assert main.run(["url", "debian12"]) == 40
    assert "There is no s3://" in capsys.readouterr().err
    asyncio.run(publish_one(DirectoryStore(tmp_path)))
    assert main.run(["url", "debian12", "--destination", str(tmp_path)]) == 2
    assert "A folder has no address" in capsys.readouterr().err


@pytest.mark.heavy
def test_the_address_downloads_from_minio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_small("minio", tmp_path) as (server, _):
        destination = f"s3://{server.bucket}/some where"
        destination_with_one(destination, dict(server.environment), monkeypatch)
        assert main.run(["url", "debian12"]) == 0
        url = capsys.readouterr().out.splitlines()[0]
        assert fetched(url) == BODY
        assert refused(url.replace("debian12.xva", "metadata.json")) == 403
