"""``python -m tests.stores.table``: ask real servers, and write their rows into docs/stores.md.

Only rows of servers that could be started here are renewed; the others stay as they were.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import anyio
import pytest
from moto.server import ThreadedMotoServer

from asyncpipe.errors import AccessDeniedError, NotSupportedError, UploadError, UploadMissingError
from asyncpipe.model.store import ChecksumMode, StoreCapabilities
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3.store import S3Store
from tests.stores.helpers import XVA, complete, digests_of, keys_of, payload
from tests.stores.real_servers import RealServer, running_ceph, running_swift, with_bucket
from tests.stores.small_servers import running_small

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "stores.md"
_BEGIN, _END = "<!-- asked: begin -->", "<!-- asked: end -->"
_HEAD: Final = (
    "| server | digest that is refused when wrong | create-only `PutObject` | create-only Complete"
    " | If-Match | size on Complete | part ETag is MD5 | Complete twice | lists uploads by prefix"
    " | lists parts | wrong region | wrong key | requests of the probe |"
)
_DIGESTS: Final = {
    ChecksumMode.CRC64NVME_FULL: "CRC64NVME of parts and of the whole",
    ChecksumMode.CRC64NVME_PARTS: "CRC64NVME of parts",
    ChecksumMode.SHA256_COMPOSITE: "SHA-256 of parts, and of these on Complete",
    ChecksumMode.CONTENT_MD5: "Content-MD5 of parts",
    ChecksumMode.ETAG_MD5: "**none**: part ETags are compared, and the object is read back",
    ChecksumMode.NONE: "**none**: the object is read back",
}


@contextlib.contextmanager
def _moto(folder: Path) -> Iterator[RealServer]:
    del folder
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield with_bucket("moto", f"http://{host}:{port}", "test", "testing")
    finally:
        server.stop()


def _small(name: str) -> Callable[[Path], AbstractContextManager[RealServer]]:
    @contextlib.contextmanager
    def run(folder: Path) -> Iterator[RealServer]:
        with running_small(name, folder) as (server, _):
            yield server

    return run


SERVERS: Final[dict[str, Callable[[Path], AbstractContextManager[RealServer]]]] = {
    "MinIO 2026-02-12": _small("minio"),
    "versitygw 1.8.0 (posix)": _small("versitygw"),
    "rclone 1.76.0 `serve s3`": _small("rclone"),
    "gofakes3 1.2.0": _small("gofakes3"),
    "s3rver 3.7.1": _small("s3rver"),
    "OpenStack Swift + s3api": running_swift,
    "Ceph RGW 16.2.15": running_ceph,
    "moto 5.2 (tests only)": _moto,
}


async def row(name: str, server: RealServer) -> str:
    """Ask one server everything; returns a line of the table."""
    async with open_store(f"s3://{server.bucket}/t/p", environment=server.environment) as store:
        assert isinstance(store, S3Store)
        count = 0

        def note(**_: object) -> None:
            nonlocal count
            count += 1

        store._calls._client.raw.meta.events.register("before-send.s3", note)
        await store.probe()
        asked = count
        honoured = store.capabilities
        quoted = "" if store._record.quoted_if_match else ", ETag without quotes"
        cells = [
            name,
            _DIGESTS[honoured.checksum],
            _yes(honoured.conditional_put),
            _yes(honoured.conditional_complete),
            _yes(honoured.compare_and_swap) + quoted,
            _yes(honoured.object_size_checked),
            _yes(honoured.comparable_etag),
            await _twice(store, honoured),
            await _lists_uploads(store),
            await _lists_parts(store),
            await _wrong(server, AWS_REGION="eu-west-7"),
            await _wrong(server, AWS_SECRET_ACCESS_KEY="not-the-right-one"),
            str(asked),
        ]
    return f"| {' | '.join(cells)} |"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


async def _twice(store: S3Store, honoured: StoreCapabilities) -> str:
    body = payload(honoured.min_part_bytes)
    handle = await store.create_upload("twice", content_type=XVA, metadata={})
    part = await store.upload_part(handle, 1, memoryview(body), digests_of(store, body))
    await complete(store, handle, [part], [body])
    try:
        await complete(store, handle, [part], [body])
    except UploadMissingError:
        return "`NoSuchUpload`"
    except UploadError as error:
        return f"{type(error).__name__}"
    return "same answer"


async def _lists_uploads(store: S3Store) -> str:
    handle = await store.create_upload("deep/x", content_type=XVA, metadata={})
    try:
        found = [one.handle for one in await store._uploads(prefix="deep/")]
        if handle in found:
            return "yes"
        return (
            "no, the whole bucket's"
            if handle in [one.handle for one in await store._uploads(prefix=None)]
            else "no"
        )
    except NotSupportedError:
        return "no (501)"
    finally:
        with contextlib.suppress(UploadError):  # s3rver takes no abort
            await store.abort_upload(handle)


async def _lists_parts(store: S3Store) -> str:
    handle = await store.create_upload("deep/x", content_type=XVA, metadata={})
    try:
        await store.list_parts(handle)
    except NotSupportedError:
        return "no (405)"
    else:
        return "yes"
    finally:
        with contextlib.suppress(UploadError):  # s3rver takes no abort
            await store.abort_upload(handle)


async def _wrong(server: RealServer, **variables: str) -> str:
    environment = {**server.environment, **variables}
    async with open_store(f"s3://{server.bucket}/t/p", environment=environment) as store:
        try:
            await keys_of(store, "")
        except AccessDeniedError:
            return "exit 42"
        except UploadError as error:
            return "named" if "AWS_REGION" in error.hint else type(error).__name__
    return "taken"


def asked(names: Sequence[str]) -> dict[str, str]:
    """The rows of those servers that can be started here."""
    rows = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                with SERVERS[name](Path(folder)) as server:
                    rows[name] = anyio.run(row, name, server)
            except pytest.skip.Exception as reason:
                sys.stderr.write(f"{name}: {reason}\n")
    return rows


def page_with(rows: dict[str, str]) -> str:
    """The page with these rows instead of those it has."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    table, _, after = rest.partition(_END)
    present = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines()[4:]}
    lines = [{**present, **rows}.get(name, "") for name in SERVERS]
    rule = "|" + "---|" * (_HEAD.count("|") - 1)
    body = "\n".join([_HEAD, rule, *(line for line in lines if line)])
    return f"{before}{_BEGIN}\n\n{body}\n\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with(asked(sys.argv[1:] or list(SERVERS))), encoding="utf-8")
