"""XVA -> raw disk: verified chunks are written in place, holes stay holes."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from asyncpipe.errors import UsageError, XvaInvalidError
from asyncpipe.model.xva import ANY_COMPRESSION, XvaReport
from asyncpipe.text.format import counted
from asyncpipe.xva.read.ova_facts import DeclaredDisk
from asyncpipe.xva.read.sequence import Chunk
from asyncpipe.xva.read.validator import XvaValidator


class DiskExtractor:
    """Takes an XVA's bytes and writes one of its disks as a sparse raw image.

    A context manager: leaving it before ``finish`` removes what was written. ``disk`` counts from
    0 in the order in which the XVA carries its disks (``asyncpipe inspect`` lists them).

    Raises:
        UsageError: ``target`` exists or cannot be written.
    """

    def __init__(self, target: Path, *, disk: int) -> None:
        self._target = target
        self._disk = disk
        self._kept = False
        self._validator = XvaValidator(on_chunk=self._write, digest_of=ANY_COMPRESSION)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._descriptor = os.open(target, flags, 0o644)
        except FileExistsError as error:
            raise UsageError(
                f"{target} exists and is not overwritten.", hint="Name another file with -o."
            ) from error
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
        if not self._kept:
            self._target.unlink(missing_ok=True)

    @property
    def rejected(self) -> bool:
        """Whether the rest of the XVA need not be read."""
        return self._validator.rejected

    def feed(self, data: memoryview | bytes) -> None:
        """Take the next bytes of the XVA.

        Raises:
            UsageError: the XVA has no such disk.
            OSError: the disk image cannot be written.
        """
        self._validator.feed(data)
        self._declared()

    def finish(self) -> XvaReport:
        """Keep the image if the whole XVA is valid.

        Raises:
            XvaInvalidError: it is not.
            UsageError: the XVA has no such disk.
        """
        report = self._validator.finish()
        if report.rejection is not None:
            raise XvaInvalidError(
                f"The XVA is not valid, nothing was extracted: {report.rejection}",
                hint="Run asyncpipe verify to see every finding.",
            )
        declared = self._declared()
        assert declared is not None
        os.ftruncate(self._descriptor, declared.virtual_size_bytes)
        self._kept = True
        return report

    def _declared(self) -> DeclaredDisk | None:
        facts = self._validator.facts
        if facts is None:
            return None
        if not 0 <= self._disk < len(facts.disks):
            raise UsageError(
                f"The XVA has {counted(len(facts.disks), 'disk')}, none with number {self._disk}.",
                hint="Disks count from 0; asyncpipe inspect lists them.",
            )
        return facts.disks[self._disk]

    def _write(self, chunk: Chunk, data: memoryview) -> None:
        if chunk.disk != self._disk:
            return
        at_bytes = chunk.offset_bytes
        while data:
            count = os.pwrite(self._descriptor, data, at_bytes)
            data = data[count:]
            at_bytes += count
