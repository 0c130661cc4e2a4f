"""The validator: bytes in pieces of any size -> XvaReport, in one pass and constant memory.

Rules and codes: ``docs/xva.md``. Sans-IO and synchronous; hashing and decompression release the
GIL, so that it belongs into a worker thread (any one at a time).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import cast

from asyncpipe.model.xva import (
    MAX_TEXT_CHARS,
    Compression,
    Finding,
    Severity,
    Verdict,
    XvaDisk,
    XvaReport,
)
from asyncpipe.text.safe import printable
from asyncpipe.xva.compression.container import (
    ContainerRejectError,
    Emit,
    PlainUnpacker,
    Unpacker,
)
from asyncpipe.xva.compression.gzip import GZIP_MAGIC, GzipUnpacker
from asyncpipe.xva.compression.zstd import ZSTD_MAGIC, ZstdUnpacker
from asyncpipe.xva.read.archive import Archive
from asyncpipe.xva.read.chunks import ChunkSink
from asyncpipe.xva.read.ova_facts import OvaFacts
from asyncpipe.xva.read.tar import BLOCK
from asyncpipe.xva.reject import RejectError


class XvaValidator:
    """Checks an XVA as its bytes pass through.

    ``on_chunk(chunk, data)`` gets every chunk that is not all zero after its checksum was found
    right; ``data`` is valid during the call only. ``allow_metadata_only`` accepts exports that
    carry no disk data. ``digest_of``: how a file has to be wrapped for the archive inside to get a
    SHA-256 of its own. ``on_content`` gets the archive's bytes, decompressed, in bounded pieces;
    what it raises comes out of ``feed``.
    """

    def __init__(
        self,
        *,
        on_chunk: ChunkSink | None = None,
        allow_metadata_only: bool = False,
        digest_of: Collection[Compression] = (),
        on_content: Emit | None = None,
    ) -> None:
        self._digest_of = digest_of
        self._on_content = on_content
        self._sha256: hashlib._Hash | None = None  # of the archive inside
        self._archive = Archive(
            self._warn_inside, on_chunk=on_chunk, allow_metadata_only=allow_metadata_only
        )
        self._unpacker: Unpacker | None = None
        self._start = bytearray()  # until the wrapping is known
        self._size_bytes = 0
        self._unpacked_bytes: int | None = None  # where the archive was rejected
        self._reject: Finding | None = None
        self._warnings: dict[str, Finding] = {}  # the first of each code
        self._report: XvaReport | None = None

    def anew(self) -> XvaValidator:
        """Return one that has seen nothing, for the same questions."""
        return XvaValidator(digest_of=self._digest_of)

    @property
    def rejected(self) -> bool:
        """Whether a rule is already broken; the rest of the file cannot change that."""
        return self._reject is not None

    @property
    def facts(self) -> OvaFacts | None:
        """What ova.xml says, once it was read."""
        return self._archive.facts

    def feed(self, data: memoryview | bytes) -> None:
        """Take the next bytes; ``data`` may be reused as soon as this returns. Raises nothing."""
        if self._report is not None:
            raise RuntimeError("feed() after finish()")
        self._size_bytes += len(data)
        if self._reject is not None:
            return
        try:
            self._feed(memoryview(data).cast("B"))
        except RejectError as error:
            self._refuse(error)

    def finish(self) -> XvaReport:
        """Take the end of the file and return the report; the same one on every further call."""
        if self._report is None:
            if self._reject is None:
                self._finish()
            self._report = self._make_report()
        return self._report

    def _feed(self, view: memoryview) -> None:
        if self._unpacker is not None:
            self._unpacker.feed(view)
            return
        self._start += view[: len(ZSTD_MAGIC) - len(self._start)]
        if len(self._start) == len(ZSTD_MAGIC):
            self._unpacker = self._choose(bytes(self._start))
            taken = len(self._start) - (self._size_bytes - len(view))
            self._unpacker.feed(memoryview(bytes(self._start)))
            self._unpacker.feed(view[taken:])

    def _choose(self, start: bytes) -> Unpacker:
        if start == ZSTD_MAGIC:
            return ZstdUnpacker(self._inside(Compression.ZSTD), self._warn_outside)
        if start.startswith(GZIP_MAGIC):
            return GzipUnpacker(self._inside(Compression.GZIP), self._warn_outside)
        return PlainUnpacker(self._inside(Compression.NONE))

    def _inside(self, compression: Compression) -> Emit:
        """Return what takes the archive's bytes."""
        takers: list[Emit] = [self._archive.feed]
        if self._on_content is not None:
            takers.insert(0, self._on_content)
        if compression in self._digest_of:
            self._sha256 = hashlib.sha256()
            takers.insert(0, cast("Emit", self._sha256.update))
        if len(takers) == 1:
            return takers[0]

        def take(view: memoryview) -> None:
            for taker in takers:
                taker(view)

        return take

    def _finish(self) -> None:
        try:
            if self._unpacker is None:
                self._archive.feed(memoryview(bytes(self._start)))
            else:
                self._unpacker.finish()
            self._archive.finish()
            if self._size_bytes < BLOCK:
                message = f"{self._size_bytes} bytes are too short: import reads {BLOCK} at first"
                raise ContainerRejectError("not-xva", 0, message)
        except RejectError as error:
            self._refuse(error)

    def _refuse(self, error: RejectError) -> None:
        if not isinstance(error, ContainerRejectError):
            self._unpacked_bytes = error.offset_bytes
        unpacked = self._wrapped and not isinstance(error, ContainerRejectError)
        self._reject = Finding(
            code=error.code,
            severity=Severity.REJECT,
            offset_bytes=error.offset_bytes,
            member=printable(error.member, 100),
            message=error.message,
            unpacked=unpacked,
        )

    @property
    def _wrapped(self) -> bool:
        unpacker = self._unpacker
        return unpacker is not None and unpacker.compression is not Compression.NONE

    def _warn_inside(self, code: str, offset_bytes: int, member: str, message: str) -> None:
        self._warn(code, offset_bytes, message, member=member, unpacked=self._wrapped)

    def _warn_outside(self, offset_bytes: int, message: str) -> None:
        self._warn("multi-member", offset_bytes, message)

    def _warn(
        self,
        code: str,
        offset_bytes: int,
        message: str,
        *,
        member: str = "",
        unpacked: bool = False,
    ) -> None:
        if code not in self._warnings:
            self._warnings[code] = Finding(
                code=code,
                severity=Severity.WARN,
                offset_bytes=offset_bytes,
                member=printable(member, 100),
                message=message,
                unpacked=unpacked,
            )

    def _content_sha256_hex(self) -> str | None:
        """Of a rejected file not every byte was seen."""
        if self._sha256 is None or self._reject is not None:
            return None
        return self._sha256.hexdigest()

    def _verdict(self) -> Verdict:
        if self._reject is not None:
            return Verdict.REJECT
        return Verdict.WARN if self._warnings else Verdict.ACCEPT

    def _make_report(self) -> XvaReport:
        archive = self._archive
        facts = archive.facts
        vm = facts.vm.fields if facts else {}
        version = facts.version if facts else {}
        return XvaReport(
            verdict=self._verdict(),
            findings=((self._reject,) if self._reject else ()) + tuple(self._warnings.values()),
            size_bytes=self._size_bytes,
            unpacked_bytes=archive.offset_bytes
            if self._unpacked_bytes is None
            else self._unpacked_bytes,
            compression=self._unpacker.compression if self._unpacker else None,
            vm_name=_text(vm.get("name_label")),
            vm_description=_text(vm.get("name_description")),
            vcpus=_number(vm.get("VCPUs_max")),
            memory_bytes=_number(vm.get("memory_static_max")),
            firmware=_text(vm.get("firmware")),
            disks=_disks(archive),
            networks=tuple(_shown(name) for name in facts.networks) if facts else (),
            loaded_drives=tuple(_shown(name) for name in facts.loaded_drives) if facts else (),
            product_brand=_text(version.get("product_brand")),
            product_version=_text(version.get("product_version")),
            xapi_version=facts.xapi_version if facts else None,
            checksum=archive.checksum,
            chunks_verified=archive.chunks_verified,
            content_sha256_hex=self._content_sha256_hex(),
        )


def validate(data: bytes) -> XvaReport:
    """Check an XVA that is in memory."""
    validator = XvaValidator()
    validator.feed(data)
    return validator.finish()


def _disks(archive: Archive) -> tuple[XvaDisk, ...]:
    return tuple(
        XvaDisk(
            name=_shown(disk.declared.name),
            reference=_shown(disk.declared.reference),
            virtual_size_bytes=disk.declared.virtual_size_bytes,
            stored_bytes=disk.stored_bytes,
            data_bytes=disk.data_bytes,
            chunks=disk.chunks,
            complete=disk.complete,
        )
        for disk in archive.sequence.disks
    )


def _text(value: str | None) -> str | None:
    return None if value is None else _shown(value)


def _number(value: str | None) -> int | None:
    digits = (value or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _shown(text: str) -> str:
    return printable(text, MAX_TEXT_CHARS)
