"""What opening a store leaves out costs nothing that it is needed for: trust, models, requests."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import aiohttp
import anyio
import pytest
from aiobotocore.session import AioSession
from aiohttp import connector
from botocore.loaders import Loader, create_loader

from asyncpipe.stores import http_client
from asyncpipe.stores.s3 import models
from asyncpipe.stores.s3.models import ModelLoader
from tests.stores.certificates import Authority
from tests.stores.helpers import LIMIT_S
from tests.stores.listening import HERE, listening

# that aioboto3 and botocore would load for what we never ask of them
UNUSED = {"awscrt", "awscrt.auth", "aioboto3.s3.inject", "s3transfer", "multiprocessing.managers"}
OPEN = """
import sys, anyio
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3 import store
async def main():
    async with open_store("s3://bucket", environment={
        "AWS_ACCESS_KEY_ID": "x" * 16, "AWS_SECRET_ACCESS_KEY": "y" * 30,
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}): pass
anyio.run(main)
print(*sorted(sys.modules))
"""


def test_opening_s3_loads_nothing_that_only_others_use() -> None:
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "aioboto3.session" in loaded
    assert not loaded & UNUSED


@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
@pytest.mark.parametrize("service", ["s3", "sts"])
def test_models_are_those_that_botocore_reads(service: str, kind: str) -> None:
    ours = without_documentation(ModelLoader().load_service_model(service, kind))
    theirs = without_documentation(Loader().load_service_model(service, kind))
    assert json.dumps(ours) == json.dumps(theirs)  # the order of members counts too


def without_documentation(model: Any) -> Any:
    """The same model with nothing in it for people."""
    if isinstance(model, dict):
        return {name: _empty(name, value) for name, value in model.items()}
    return [without_documentation(one) for one in model] if isinstance(model, list) else model


def _empty(name: str, value: Any) -> Any:
    is_text = name == "documentation" and isinstance(value, str)
    return "" if is_text else without_documentation(value)


@pytest.mark.parametrize(
    "text",
    ["", "plain", 'said "so"', "ends in \\", 'both \\"', '{"documentation":"x"}', "é\n\u2028"],
)
def test_only_the_text_for_people_is_left_out(tmp_path: Path, text: str) -> None:
    member = {"documentation": text, "type": "string"}
    model = {"shapes": {"documentation": member, "Key": {**member, "last": "\\"}}, "note": text}
    file = tmp_path / "service-2.json"
    file.write_text(json.dumps(model, separators=(",", ":")), encoding="utf-8")
    assert models._Files().load_file(str(tmp_path / "service-2")) == without_documentation(model)


def test_models_of_ones_own_are_found_where_botocore_would_find_them(
    tmp_path: Path,
) -> None:
    model = tmp_path / "s3/2006-03-01/service-2.json"
    model.parent.mkdir(parents=True)
    model.write_text('{"metadata": {"mine": true}}', encoding="utf-8")
    session = AioSession()
    session.set_config_variable("data_path", str(tmp_path))
    models.use_model_loader(session)
    loader = session.get_component("data_loader")
    assert loader.search_paths == create_loader(str(tmp_path)).search_paths
    assert loader.load_service_model("s3", "service-2")["metadata"] == {"mine": True}


def _context_of_aiohttp() -> ssl.SSLContext:
    """What it makes when it is imported, for those who bring no context."""
    with http_client._authorities_when_used():
        return connector._make_ssl_context(verified=True)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("address", "trusted", "fits"),
    [(HERE, True, True), (HERE, False, False), ("127.0.0.2", True, False)],
)
async def test_contexts_that_read_the_authorities_late_are_as_strict(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    anyio_backend: str,
    address: str,
    trusted: bool,
    fits: bool,
) -> None:
    verified = _context_of_aiohttp()
    usual = ssl.create_default_context()
    assert verified.cert_store_stats()["x509"] == 0
    for setting in ("verify_mode", "verify_flags", "check_hostname", "options", "minimum_version"):
        assert getattr(verified, setting) == getattr(usual, setting)
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle if trusted else tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert await _answers(authority.server(address), verified) == fits


async def _answers(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether a client of this context talks to a server of that one."""

    def answer(connection: socket) -> None:
        with suppress(OSError), server.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(4096)
            encrypted.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    with listening(answer) as port, anyio.fail_after(LIMIT_S):
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"https://{HERE}:{port}", ssl=client) as response:
                    return response.status == 204
            except aiohttp.ClientConnectorCertificateError:
                return False


def test_contexts_made_elsewhere_read_the_authorities_at_once() -> None:
    _context_of_aiohttp()
    own: Any = ssl.SSLContext
    inherited: Any = own.__mro__[1]
    assert own.set_default_verify_paths is inherited.set_default_verify_paths
