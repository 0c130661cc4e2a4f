"""Overviews of the page, made without a store: as many versions as wanted, and hostile text."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncpipe.catalog.comparing import compare
from asyncpipe.catalog.page import Overview, TemplateView
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import BuildEntry, CatalogEntry, OsEntry, XvaEntry
from asyncpipe.text.format import timestamp_of

NEWEST = datetime(2026, 11, 23, 17, tzinfo=UTC)
HOSTILE = (
    "<script>window.broken=1</script>",
    "</script><script>window.broken=1</script>",
    '"><img src=x onerror="window.broken=1">',
    "' onmouseover='window.broken=1",
    "<!--<script>",
    "{{ 7*7 }}",
    "abc\u202etxt.exe\u2066\u200f",
    "x" * 190,
)


def entry(
    short_id: str, age: timedelta, *, text: str = "", run_url: str | None = None
) -> CatalogEntry:
    """Make a version; ``text`` stands in every field that takes one."""
    timestamp = timestamp_of(NEWEST - age)
    days = int(age.total_seconds()) // 86400
    digest = hashlib.sha256(f"{short_id}{timestamp}".encode())
    return CatalogEntry(
        short_id=short_id,
        timestamp=timestamp,
        xva=XvaEntry(
            key=store_keys.xva_key(short_id, timestamp),
            size_bytes=1_300_000_000 + days * 1_234_567 % 99_999_999,
            sha256_hex=digest.hexdigest(),
        ),
        os=OsEntry(
            type=text[:100] or "debian",
            version=text[:100] or "12",
            release=text or "12.11",
            arch=text[:100] or "x86_64",
            pretty_name=text or "Debian GNU/Linux 12 (bookworm)",
            end_of_life=text[:100] or "2028-06-30",
        ),
        build=BuildEntry(
            unit=text or short_id,
            template=text or "templates/debian/12",
            commit=text[:100] or digest.hexdigest()[:40],
            duration_s=600.0 + days % 90,
            run_url=run_url or text or f"https://ci.example/runs/{int(timestamp[9:15]) + days}",
        ),
        folder="",
        metadata_key="",
    )


def document(text: str, packages: int, *, build: int = 0) -> dict[str, Any]:
    """What the page reads of a version's metadata."""
    return {
        "os": {},
        "guest": {
            "kernel": text or "6.1.0-37-amd64",
            "hardening_profile": text or "baseline",
            "agent": text or "xe-guest-utilities 8.4.0",
            "packages_cut": 0,
        },
        "build": {
            "packer": {"version": text or "1.16.0", "plugins": {text or "xenserver": "0.11.4"}},
            "source": {"remote": text or "https://git.example/images", "dirty": True},
            "duration_s": 600.0 + build,
        },
        "iso": {"name": text or "debian-12.11.0-amd64-netinst.iso"},
        "verified": [text or "sha256"],
        "packages": [
            {"name": text or f"package-{n}", "version": text or f"1.{n}-{build}", "arch": "amd64"}
            for n in range(packages)
        ],
    }


def view(
    short_id: str, count: int, *, text: str = "", packages: int = 3, revoked: int = 0
) -> TemplateView:
    """Make a template of ``count`` versions, a day apart, of which the newest are revoked."""
    versions = tuple(entry(short_id, timedelta(days=n), text=text) for n in range(count))
    good = versions[revoked:]
    new, old = document(text, packages, build=2), document("", packages, build=1)
    return TemplateView(
        short_id=short_id,
        versions=versions,
        names={good[0].folder_key: ["latest", text or "testing"]} if good else {},
        revoked={one.folder_key: text or "it does not boot" for one in versions[:revoked]},
        current=good[0] if good else None,
        metadata=new if good else None,
        before=good[1] if len(good) > 1 else None,
        difference=compare(old, new) if len(good) > 1 else None,
        inherited={one.folder_key: text for one in good[:1] if text},
        outdated={one.folder_key: text for one in good[:1] if text},
    )


def hostile() -> Overview:
    """Make an overview with hostile text in every field, names of keys aside."""
    views = tuple(view(f"bad{n}", 3, text=text, revoked=1) for n, text in enumerate(HOSTILE))
    return Overview(templates=views, warnings=HOSTILE)


def many(templates: int, versions: int, *, packages: int = 3) -> Overview:
    """Make a large overview."""
    one = view("debian", 2, packages=packages)
    views = (
        replace(view(f"debian{n:04}", versions), metadata=one.metadata, difference=one.difference)
        for n in range(templates)
    )
    return Overview(templates=tuple(views))
