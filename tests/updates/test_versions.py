"""Versions are ordered as dpkg and rpm order them, and lists are read without holding them."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import tracemalloc

import pytest

from asyncpipe.updates.apt.packages import read_packages
from asyncpipe.updates.refused import IndexRefusedError
from asyncpipe.updates.versions import Ecosystem, is_newer

_DEB = (
    "1.0-1", "1.0-1~deb12u1", "1.0-1+deb12u1", "1.0-1+b1", "1.0", "1.0~rc1-1", "1:0.9-1", "1.0.1-1",
    "1.0a-1", "5.2.15-2+b8", "5.2.15-2+b10", "2026f-0+deb12u1", "2026b-0+deb12u1",
    "2:8.39-15", "1.0-0ubuntu0.24.04.1",
)  # fmt: skip


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
def test_debian_versions_are_ordered_as_dpkg_orders_them() -> None:
    pairs = list(itertools.combinations(_DEB, 2))
    script = "".join(
        f"if dpkg --compare-versions '{one}' gt '{other}'; then echo y; else echo n; fi\n"
        for one, other in pairs
    )
    said = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    assert ["y" if is_newer(Ecosystem.DEB, *pair) else "n" for pair in pairs] == said.stdout.split()


# tests/rpmvercmp.at of rpm has these orders.
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0-1", "2.0-1"),
        ("2.0-1", "2.0.1-1"),
        ("5.5p1-1", "5.5p10-1"),
        ("10xyz-1", "10.1xyz-1"),
        ("xyz.4-1", "8-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0~rc1-1", "1.0~rc2-1"),
        ("1.0-1", "1.0^-1"),
        ("1.0^git1-1", "1.01-1"),
        ("1.0~rc1^git1-1", "1.0-1"),
        ("9.9-9", "1:0.1-1"),
        ("1.0-9.el9", "1.0-10.el9"),
        ("3.2.2-6.el9_5", "3.2.2-6.el9_5.1"),
    ],
)
def test_rpm_versions_are_ordered_as_rpm_orders_them(older: str, newer: str) -> None:
    assert is_newer(Ecosystem.RPM, newer, older)
    assert not is_newer(Ecosystem.RPM, older, newer)


def test_a_long_list_of_packages_is_read_without_being_held() -> None:
    stanza = "Package: p{}\nVersion: 1.{}\nArchitecture: amd64\nDescription: {}\n\n"
    body = "".join(stanza.format(one, one, "x" * 400) for one in range(8000)).encode()
    file = io.BytesIO(body)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_packages(file))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 8000
    assert peak_bytes < len(body) / 10


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(IndexRefusedError):
        list(read_packages(io.BytesIO(b"x" * (5 * 1024 * 1024))))
