"""Raw disks -> an importable XVA, in one streaming pass that never seeks: it works in a pipe.

The layout is the one that xapi writes since 8.1: V7 headers, XXH64 per chunk, gaps for zeroes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import zstandard
from isal import isal_zlib

from asyncpipe.model.xva import Compression
from asyncpipe.xva.read.chunks import digest
from asyncpipe.xva.read.sequence import CHUNK_BYTES
from asyncpipe.xva.read.tar import ZERO_BLOCK, pack_header, padding_of
from asyncpipe.xva.write import records
from asyncpipe.xva.write.description import DiskSpec, ova_xml
from asyncpipe.xva.write.raw import RawDisk
from asyncpipe.xva.write.records import VmSpec

_SUFFIX: Final = ".xxhash"
_ZSTD_LEVEL: Final = 3  # what the host's zstd uses
_ISAL_LEVEL: Final = 2
_GZIP_WBITS: Final = 31

Progress = Callable[[int, int], None]  # bytes of the disks that are done, of all


class Sink(Protocol):
    """Anything with ``write``: a file, a pipe, a compressor."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Take all of ``data``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSource:
    """A raw disk image and the name that its disk gets."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What went into the file."""

    virtual_bytes: int  # of all disks
    chunk_bytes: int  # stored; the rest are gaps
    chunks: int


def write_xva(
    out: Sink,
    vm: VmSpec,
    sources: Sequence[RawSource],
    *,
    date_utc: str,
    compression: Compression = Compression.NONE,
    progress: Progress | None = None,
) -> Written:
    """Write an XVA to ``out``, which stays open.

    ``out.write`` must take all it is given: buffer a raw file or pipe (io.BufferedWriter).

    ``date_utc`` (``20261123T170000Z``) is the only thing that differs between two runs.

    Raises:
        UsageError: a disk that cannot be read, a name or number that cannot be.
        OSError: ``out`` refuses.
    """
    with ExitStack() as stack:
        disks = [stack.enter_context(closing(RawDisk(source.path))) for source in sources]
        declared = [
            DiskSpec(name=source.name, virtual_size_bytes=disk.virtual_size_bytes)
            for source, disk in zip(sources, disks, strict=True)
        ]
        description = ova_xml(vm, declared, date_utc=date_utc)
        sink = stack.enter_context(_wrapped(out, compression))
        return _write_members(sink, description, disks, progress)


def write_member(sink: Sink, name: str, data: bytes | memoryview, mtime_s: int = 0) -> None:
    """Write one member: header, bytes, padding."""
    sink.write(pack_header(name, len(data), mtime_s))
    sink.write(data)
    sink.write(bytes(padding_of(len(data))))


def write_chunk(sink: Sink, name: str, data: memoryview) -> None:
    """Write a chunk and the checksum that must follow it."""
    write_member(sink, name, data)
    write_member(sink, name + _SUFFIX, digest(_SUFFIX, data))


def _write_members(
    sink: Sink, description: bytes, disks: Sequence[RawDisk], progress: Progress | None
) -> Written:
    write_member(sink, "ova.xml", description)
    total_bytes = sum(disk.virtual_size_bytes for disk in disks)
    # import measures every gap by the first chunk of the file: one that is short forbids gaps
    keep_gaps = bool(disks) and disks[0].virtual_size_bytes >= CHUNK_BYTES
    before_bytes = chunk_bytes = chunks = 0
    for index, disk in enumerate(disks):
        folder = records.disk_reference(index)
        for counter, data in disk.chunks(keep_gaps=keep_gaps):
            write_chunk(sink, f"{folder}/{counter:08d}", data)
            chunk_bytes += len(data)
            chunks += 1
            if progress is not None:
                progress(before_bytes + counter * CHUNK_BYTES + len(data), total_bytes)
        before_bytes += disk.virtual_size_bytes
    sink.write(ZERO_BLOCK * 2)
    return Written(virtual_bytes=total_bytes, chunk_bytes=chunk_bytes, chunks=chunks)


@contextmanager
def _wrapped(out: Sink, compression: Compression) -> Iterator[Sink]:
    """Give a sink that compresses into ``out`` and ends the stream when all went well."""
    if compression is Compression.ZSTD:
        compressor = zstandard.ZstdCompressor(
            level=_ZSTD_LEVEL, write_checksum=True, threads=os.cpu_count() or 1
        )
        stream: Any = compressor.compressobj()
    elif compression is Compression.GZIP:
        stream = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
    else:
        yield out
        return
    yield _Compressing(out, stream)
    out.write(stream.flush())


class _Compressing:
    """A sink in front of a compression object."""

    def __init__(self, out: Sink, stream: Any) -> None:
        self._out = out
        self._stream = stream

    def write(self, data: bytes | memoryview, /) -> None:
        packed = self._stream.compress(data)
        if packed:
            self._out.write(packed)
