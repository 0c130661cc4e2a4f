"""CRC64NVME by AWS's library, loaded with the first sum: 70 ms that readers need not pay."""

from __future__ import annotations


def crc64nvme(data: bytes | bytearray | memoryview, previous: int = 0) -> int:
    """Return the CRC of ``data``, after bytes whose CRC is ``previous``."""
    from awscrt import checksums  # noqa: PLC0415

    value: int = checksums.crc64nvme(data, previous)
    return value


def combine_crc64nvme(first: int, second: int, second_bytes: int) -> int:
    """Return the CRC of two pieces from theirs and the length of the second."""
    from awscrt import checksums  # noqa: PLC0415

    value: int = checksums.combine_crc64nvme(first, second, second_bytes)
    return value
