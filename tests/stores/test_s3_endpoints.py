"""Ports and certificates: what is trusted, and what a person reads when it is not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import TransientStoreError, UploadError, UsageError
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.stores.open import open_store
from tests.s3_standin.faults import reset_body
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.stores.certificates import Authority
from tests.stores.helpers import LIMIT_S, XVA, digests_of
from tests.stores.listening import HERE, listening
from tests.upload.helpers import MIB, published, some_bytes, written

pytestmark = pytest.mark.anyio

AWS = StoreOptions(profile=StoreProfile.AWS)
BODY = some_bytes(11 * MIB)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def https(authority: Authority) -> Iterator[StandIn]:
    with running_standin(tls=authority.server(HERE)) as standin:
        yield standin


@pytest.fixture
def http() -> Iterator[StandIn]:
    with running_standin() as standin:
        yield standin


async def refused(
    standin: StandIn, endpoint_url: str = "", more: Mapping[str, str] = {}
) -> UploadError:
    """What probing the destination at ``endpoint_url`` ends with."""
    environment = {**standin.environment, **more}
    if endpoint_url:
        environment["AWS_ENDPOINT_URL_S3"] = endpoint_url
    with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
        async with open_store(standin.destination, environment=environment, options=AWS) as store:
            await store.probe()
    assert caught.value.exit_code == 40
    return caught.value


def told(error: UploadError, text: str, *hints: str) -> None:
    """One sentence of a size that is read, and the names of what can be changed."""
    assert text in error.message
    assert error.message.startswith("The destination s3://bucket/p/ cannot be written: ")
    assert len(error.message) < 250
    assert error.message.isprintable()
    for hint in hints:
        assert hint in error.hint


@pytest.mark.parametrize("named_by", ["variable", "option"])
async def test_an_upload_through_tls_trusts_the_named_authority(
    https: StandIn, authority: Authority, tmp_path: Path, named_by: str
) -> None:
    environment, options = https.environment, AWS
    if named_by == "variable":
        environment = {**environment, "AWS_CA_BUNDLE": str(authority.bundle)}
    else:
        options = replace(options, ca_bundle=authority.bundle)
    target = Target(key="image.xva", content_type="application/octet-stream")
    path = written(tmp_path / "image.xva", BODY)
    with anyio.fail_after(LIMIT_S):
        async with open_store(https.destination, environment=environment, options=options) as store:
            await store.probe()
            await published(store, target, path, TransferOptions(part_size_bytes=5 * MIB))
    assert https.endpoint_url.startswith("https://")
    assert https.read("p/image.xva") == BODY


async def test_an_authority_that_nobody_named_is_refused_with_the_option_and_the_variable(
    https: StandIn,
) -> None:
    error = await refused(https)
    told(error, f"{https.endpoint_url} is not trusted", "--ca-bundle", "AWS_CA_BUNDLE")
    assert not isinstance(error, TransientStoreError)
    assert https.requests == []


async def test_a_certificate_for_another_host_is_refused_though_its_authority_is_trusted(
    authority: Authority,
) -> None:
    with running_standin(tls=authority.server("127.0.0.2")) as elsewhere:
        error = await refused(elsewhere, more={"AWS_CA_BUNDLE": str(authority.bundle)})
        told(error, "is for another name", "AWS_ENDPOINT_URL_S3")
        assert elsewhere.requests == []


async def test_a_certificate_that_ran_out_is_refused(authority: Authority) -> None:
    with running_standin(tls=authority.server(HERE, age_days=9)) as late:
        error = await refused(late, more={"AWS_CA_BUNDLE": str(authority.bundle)})
        told(error, "is not valid now (certificate has expired)", "clock")
        assert late.requests == []


async def test_behind_a_proxy_certificates_are_checked_all_the_same(
    https: StandIn, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with running_proxy() as (url, tunnels):
        monkeypatch.setenv("HTTPS_PROXY", url)  # botocore reads it itself
        told(await refused(https), "is not trusted", "--ca-bundle")
        assert https.requests == []
        trusting = {**https.environment, "AWS_CA_BUNDLE": str(authority.bundle)}
        with anyio.fail_after(LIMIT_S):
            async with open_store(https.destination, environment=trusting, options=AWS) as store:
                await store.probe()
        assert len(tunnels) >= 2
    assert https.requests


@pytest.mark.parametrize("text", [None, "no certificate"], ids=["missing", "junk"])
async def test_a_bundle_that_cannot_be_read_is_a_usage_error(
    https: StandIn, tmp_path: Path, text: str | None
) -> None:
    bundle = tmp_path / "bundle.pem"
    if text is not None:
        written(bundle, text.encode())
    environment = {**https.environment, "AWS_CA_BUNDLE": str(bundle)}
    with pytest.raises(UsageError, match=r"bundle\.pem") as caught:
        async with open_store(https.destination, environment=environment, options=AWS):
            pytest.fail("opened")
    assert "--ca-bundle" in caught.value.hint


async def test_https_towards_a_plain_port_is_told_as_that(http: StandIn) -> None:
    url = http.endpoint_url.replace("http:", "https:")
    told(await refused(http, url), f"{url} does not answer with TLS", "http://")


async def test_http_towards_a_tls_port_is_told_with_the_scheme_that_may_be_meant(
    https: StandIn,
) -> None:
    url = https.endpoint_url.replace("https:", "http:")
    told(await refused(https, url), f"the connection to {url} was cut", "https://")


PLAIN_TO_TLS = {
    "go": b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    "nginx": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 65\r\n"
    b"Connection: close\r\n\r\n"
    b"<html>400 The plain HTTP request was sent to HTTPS port</html>\r\n\r\n",
    "alert": b"\x15\x03\x01\x00\x02\x02\x46",
}


@pytest.mark.parametrize("answer", PLAIN_TO_TLS.values(), ids=PLAIN_TO_TLS)
async def test_what_tls_servers_answer_to_plain_requests_leads_to_the_scheme(
    http: StandIn, answer: bytes
) -> None:
    with answering(answer) as url:
        told(await refused(http, url), "", "https://")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "https://127.0.0.1:{}"])
async def test_a_port_where_nobody_listens_is_told_as_that(http: StandIn, url: str) -> None:
    with socket.socket() as bound:  # taken, so that nobody else can listen there either
        bound.bind((HERE, 0))
        url = url.format(bound.getsockname()[1])
        error = await refused(http, url)
    told(error, f"nobody listens at {url} (connection refused)", "AWS_ENDPOINT_URL_S3")
    assert isinstance(error, TransientStoreError)


async def test_a_host_name_that_is_not_known_is_told_as_that(http: StandIn) -> None:
    error = await refused(http, "http://nowhere.invalid:9000")
    told(error, "the host name nowhere.invalid is not known", "AWS_ENDPOINT_URL_S3")


async def test_a_connection_cut_in_the_middle_of_an_upload_raises_no_doubt_about_the_scheme(
    http: StandIn,
) -> None:
    async with open_store(http.destination, environment=http.environment, options=AWS) as store:
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            http.faults.add(reset_body())
            with pytest.raises(TransientStoreError, match=r"A part of .* was cut") as caught:
                await store.upload_part(handle, 1, memoryview(BODY), digests_of(store, BODY))
    assert caught.value.hint == ""


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that has one answer to everything; yields its http URL."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with listening(serve) as port:
        yield f"http://{HERE}:{port}"


@contextlib.contextmanager
def running_proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that knows CONNECT; yields its URL and the tunnels it has dug."""
    tunnels: list[str] = []

    def serve(connection: socket.socket) -> None:
        method, place, _ = connection.recv(65536).split(b" ", 2)
        assert method == b"CONNECT"
        tunnels.append(place.decode())
        host, _, port = place.decode().rpartition(":")
        with socket.create_connection((host, int(port))) as beyond:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(beyond, connection))
            back.start()
            pump(connection, beyond)
            back.join()

    with listening(serve) as port:
        yield f"http://{HERE}:{port}", tunnels


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
