"""Damaged XVA files of many kinds, each with the code that it must be rejected with."""

from __future__ import annotations

from collections.abc import Iterator

from tests.xva import damaged_archives, damaged_contents
from tests.xva.damaging import Damage


def cases() -> Iterator[Damage]:
    yield from damaged_archives.not_archives()
    yield from damaged_archives.headers()
    yield from damaged_archives.ends()
    yield from damaged_contents.descriptions()
    yield from damaged_contents.order()
    yield from damaged_contents.sizes()
    yield from damaged_contents.checksums()
    yield from damaged_archives.wrapped()


ALL = tuple(cases())
