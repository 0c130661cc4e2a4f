"""One pass over an XVA on its way to a host: SHA-256, structure, size; nothing bad gets through."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from typing import Final

from asyncpipe.errors import ChecksumError, XvaInvalidError
from asyncpipe.xva.read.validator import XvaValidator

BLOCK_BYTES: Final = 1024 * 1024
# A host takes an XVA for complete before it has read the zeroes behind it, of which the
# validator allows 1 MiB: with this much held back until the verdict, no import can succeed early.
_HELD_BLOCKS: Final = 2


class Judge:
    """Takes pieces of any size; hands out blocks that may be sent, the last ones after ``finish``.

    ``sha256_hex`` is what was published, None when nobody knows. Memory: three blocks. Belongs
    into a worker thread, any one at a time.
    """

    def __init__(self, name: str, size_bytes: int, sha256_hex: str | None) -> None:
        self._name = name
        self._size_bytes = size_bytes
        self._wanted_hex = sha256_hex
        self._sha256 = hashlib.sha256()
        self._validator = XvaValidator()
        self._taken_bytes = 0
        self._block = bytearray()
        self._held: deque[bytearray] = deque()

    @property
    def sha256_hex(self) -> str:
        """The digest of what came so far."""
        return self._sha256.hexdigest()

    def feed(self, piece: bytes | bytearray | memoryview) -> list[bytearray]:
        """Judge a piece; returns the blocks that may be sent now.

        Raises:
            ChecksumError, XvaInvalidError: the rest need not be read.
        """
        view = memoryview(piece)
        self._taken_bytes += len(view)
        if self._taken_bytes > self._size_bytes:
            raise ChecksumError(f"{self._name} is larger than {self._size_bytes:,} bytes.")
        self._sha256.update(view)
        self._validator.feed(view)
        if self._validator.rejected:
            raise self._rejected()
        return list(self._ready(view))

    def finish(self) -> list[bytearray]:
        """Judge the whole; returns the blocks that were held back.

        Raises:
            ChecksumError, XvaInvalidError: nothing more may be sent.
        """
        if self._taken_bytes != self._size_bytes:
            raise ChecksumError(
                f"{self._name} ended after {self._taken_bytes:,} of {self._size_bytes:,} bytes."
            )
        if self._validator.finish().rejection is not None:
            raise self._rejected()
        if self._wanted_hex and self.sha256_hex != self._wanted_hex:
            raise ChecksumError(
                f"{self._name} is not what was published: its SHA-256 is {self.sha256_hex}, "
                f"not {self._wanted_hex}.",
                hint="Look who changed the object at the store.",
            )
        return [*self._held, self._block]

    def _ready(self, view: memoryview) -> Iterator[bytearray]:
        while view:
            room = BLOCK_BYTES - len(self._block)
            self._block += view[:room]
            view = view[room:]
            if len(self._block) == BLOCK_BYTES:
                self._held.append(self._block)
                self._block = bytearray()
            if len(self._held) > _HELD_BLOCKS:
                yield self._held.popleft()

    def _rejected(self) -> ChecksumError | XvaInvalidError:
        finding = self._validator.finish().rejection
        if self._wanted_hex:  # it was valid when it was published
            return ChecksumError(
                f"{self._name} is not what was published: {finding}",
                hint="Look who changed the object at the store.",
            )
        return XvaInvalidError(
            f"{self._name} is not a valid XVA: {finding}",
            hint="asyncpipe verify lists all that was found.",
        )
