from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import (
    HostAccessDeniedError,
    HostError,
    HostFullError,
    HostTrustError,
    HostUnreachableError,
    UsageError,
)
from asyncpipe.host import connection, session
from asyncpipe.host.endpoint import endpoint_of
from asyncpipe.host.pool import open_pool
from asyncpipe.host.trust import parse_fingerprint, read_known, shown, store_known, verifier_of
from asyncpipe.host.xmlrpc import decode
from asyncpipe.model.host import HostAccess
from asyncpipe.model.run import Trust
from tests.host.access import access_to
from tests.stores.certificates import Authority
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

OTHER = "0" * 64


async def logged_in(access: HostAccess) -> None:
    with anyio.fail_after(20):
        async with open_pool(access) as pool:
            await pool.storage()


async def problem_of(access: HostAccess) -> str:
    with pytest.raises(HostError) as caught:
        await logged_in(access)
    said = f"{caught.value.message} {caught.value.hint}"
    assert access.password not in said
    assert "OpaqueRef" not in said
    return said


@pytest.mark.anyio
class TestLogin:
    async def test_every_session_is_ended(self, xapi: XapiStandIn) -> None:
        await logged_in(access_to(xapi))
        xapi.faults.fail("SR.get_all_records", "RBAC_PERMISSION_DENIED", "sr.get_all_records")
        with pytest.raises(HostAccessDeniedError, match=r"sr\.get_all_records"):
            await logged_in(access_to(xapi))
        assert xapi.sessions() == 0

    async def test_a_cancelled_call_ends_the_session_too(self, xapi: XapiStandIn) -> None:
        xapi.faults.hanging.add("SR.get_all_records")
        with anyio.move_on_after(1) as scope:
            await logged_in(access_to(xapi))
        assert scope.cancelled_caught
        assert xapi.sessions() == 0

    async def test_a_wrong_password_is_one_sentence(self, xapi: XapiStandIn) -> None:
        said = await problem_of(access_to(xapi, password="wrong-word"))
        assert "refused the user name or the password" in said

    async def test_a_slave_leads_to_its_master(self, xapi: XapiStandIn) -> None:
        with running_xapi(master=xapi.address) as slave:
            trust = Trust(fingerprints=(xapi.fingerprint, shown(slave.fingerprint)))
            async with open_pool(access_to(xapi, address=slave.address, trust=trust)) as pool:
                facts = await pool.facts()
        assert (facts.asked, facts.master) == (slave.address, xapi.address)

    async def test_a_master_that_nobody_trusts_gets_no_password(self, xapi: XapiStandIn) -> None:
        with running_xapi(master=xapi.address) as slave:
            trust = Trust(fingerprints=(slave.fingerprint,))
            said = await problem_of(access_to(xapi, address=slave.address, trust=trust))
        assert shown(xapi.fingerprint) in said
        assert not xapi.calls

    async def test_slaves_that_name_each_other_are_told(self) -> None:
        with running_xapi() as one, running_xapi(master=one.address) as two:
            one.transfers.calls.follow(two.address)
            trust = Trust(fingerprints=(one.fingerprint, two.fingerprint))
            said = await problem_of(access_to(one, trust=trust))
        assert "are all slaves" in said

    async def test_a_slow_call_ends_at_its_limit(
        self, xapi: XapiStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        xapi.faults.hanging.add("session.login_with_password")
        monkeypatch.setattr(session, "LOGIN_S", 0.3)
        assert "did not answer session.login_with_password" in await problem_of(access_to(xapi))


@pytest.mark.anyio
class TestTrust:
    async def test_an_unknown_certificate_is_shown_and_gets_no_password(
        self, xapi: XapiStandIn
    ) -> None:
        said = await problem_of(access_to(xapi, trust=Trust()))
        assert shown(xapi.fingerprint) in said
        assert f"asyncpipe host trust {xapi.address}" in said
        assert not xapi.calls

    async def test_a_wrong_fingerprint_is_refused_before_anything_is_sent(
        self, xapi: XapiStandIn
    ) -> None:
        with pytest.raises(HostTrustError, match="another certificate"):
            await logged_in(access_to(xapi, trust=Trust(fingerprints=(OTHER,))))
        assert not xapi.calls

    async def test_a_stored_fingerprint_is_as_good_as_a_named_one(
        self, xapi: XapiStandIn, tmp_path: Path
    ) -> None:
        known = tmp_path / "deep" / "known_hosts"
        endpoint = endpoint_of(xapi.address)
        assert store_known(known, endpoint, xapi.fingerprint, replace=False)
        await logged_in(access_to(xapi, trust=Trust(known_hosts=known)))
        assert store_known(known, endpoint, OTHER, replace=True)
        said = await problem_of(access_to(xapi, trust=Trust(known_hosts=known)))
        assert "another certificate" in said

    async def test_a_certificate_for_another_name_is_refused(self, tmp_path: Path) -> None:
        with running_xapi(folder=tmp_path) as xapi:
            port = xapi.address.rpartition(":")[2]
            said = await problem_of(access_to(xapi, address=f"localhost:{port}"))
        assert "is not trusted" in said

    def test_another_fingerprint_is_stored_only_when_asked(self, tmp_path: Path) -> None:
        known, endpoint = tmp_path / "known_hosts", endpoint_of("pool.example")
        store_known(known, endpoint, OTHER, replace=False)
        assert not store_known(known, endpoint, OTHER, replace=False)
        with pytest.raises(HostTrustError, match="another fingerprint"):
            store_known(known, endpoint, "1" * 64, replace=False)
        assert read_known(known) == {"pool.example:443": OTHER}
        assert known.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("line", ["pool.example", "pool.example sha256:12", "a b c"])
    def test_a_broken_line_is_named(self, tmp_path: Path, line: str) -> None:
        known = tmp_path / "known_hosts"
        known.write_text(f"# ours\n\n{line}\n", encoding="utf-8")
        with pytest.raises(UsageError, match="known_hosts:3"):
            read_known(known)

    def test_fingerprints_are_read_as_openssl_prints_them(self) -> None:
        assert parse_fingerprint(f"sha256 Fingerprint={shown('ab' * 32)}") == "ab" * 32
        with pytest.raises(UsageError, match="not a SHA-256 fingerprint"):
            parse_fingerprint("ab:cd")

    def test_an_authority_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        missing = Trust(ca_file=tmp_path / "ca.pem")
        with pytest.raises(UsageError, match=r"ca\.pem"):
            verifier_of(missing, endpoint_of("pool.example"))


@contextmanager
def listening(answer: bytes | None = None, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A port that takes connections and sends ``answer``; None: never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    peer, _ = server.accept()
                    with peer:
                        if answer is None:
                            stop.wait()
                            continue
                        wrapped = tls.wrap_socket(peer, server_side=True) if tls else peer
                        asked = wrapped.recv(
                            65536
                        )  # whole: closing with unread bytes resets the connection
                        while tls is not None and b"</methodCall>" not in asked:
                            piece = wrapped.recv(65536)
                            if not piece:
                                break
                            asked += piece
                        wrapped.sendall(answer)
                        wrapped.close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            stop.set()
            with closing(socket.create_connection(server.getsockname())):
                pass
            thread.join()


def access(address: str, trust: Trust | None = None) -> HostAccess:
    return HostAccess(
        address=address, username="root", password="s3cret-word", trust=trust or Trust()
    )


@pytest.mark.anyio
class TestNoHost:
    async def test_a_closed_port(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = server.getsockname()[1]
        assert "connection refused" in await problem_of(access(f"127.0.0.1:{port}"))

    async def test_a_black_hole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "CONNECT_S", 0.3)
        with listening() as address, pytest.raises(HostUnreachableError, match="no answer within"):
            await logged_in(access(address))

    async def test_an_unknown_name(self) -> None:
        assert "is not known" in await problem_of(access("no-such-host.invalid"))

    async def test_a_port_without_tls(self) -> None:
        with listening(b"HTTP/1.1 200 OK\r\n\r\nhello") as address:
            assert "No TLS connection" in await problem_of(access(address))

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n", "broke"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhtml", "does not speak XAPI"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\ncut", "broke"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "does not speak XAPI"),
        ],
    )
    async def test_what_is_no_xapi(self, tmp_path: Path, answer: bytes, words: str) -> None:
        authority = Authority(tmp_path)
        with listening(answer, authority.server("127.0.0.1")) as address:
            said = await problem_of(access(address, Trust(ca_file=authority.bundle)))
        assert words in said


ANSWER = (
    "<?xml version='1.0'?>%s<methodResponse><params><param>%s</param></params></methodResponse>"
)
LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


class TestHostileAnswers:
    @pytest.mark.parametrize(
        "body",
        [
            ANSWER % (LAUGHS, "<value>&b;</value>"),
            ANSWER % (EXTERNAL, "<value>&a;</value>"),
            ANSWER % ("", "<value><int>" + "9" * 5000 + "</int></value>"),
            ANSWER % ("", "<value><double>many</double></value>"),
            ANSWER % ("", "<value><struct><member></member></struct></value>"),
            ANSWER % ("", "<value>a string</value>"),
            "<methodCall></methodCall>",
            "<methodResponse><params>",
            "",
        ],
    )
    def test_are_errors_of_ours(self, body: str) -> None:
        with pytest.raises(HostError):
            decode(body.encode())


@pytest.mark.anyio
async def test_a_full_repository_is_named(xapi: XapiStandIn) -> None:
    xapi.faults.fail("SR.get_all_records", "SR_FULL", "1000", "2000")
    with pytest.raises(HostFullError, match="no room"):
        await logged_in(access_to(xapi))
