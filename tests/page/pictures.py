"""Draws docs/images/page-*.png in a real browser: ``python -m tests.page.pictures``."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from asyncpipe.catalog.comparing import Change, Difference
from asyncpipe.catalog.page import Overview, TemplateView, render
from asyncpipe.model.documents.catalog import CatalogEntry
from tests.catalog import overviews
from tests.page.browser import browser

IMAGES = Path(__file__).parents[2] / "docs/images"
SYSTEMS: Final[
    tuple[tuple[str, str, str, str, int, int, list[str]], ...]
] = (  # place, type, name, end of life, versions, newest revoked, channels
    ("almalinux10", "almalinux", "AlmaLinux 10.0 (Purple Lion)", "2035-05-31", 14, 0, ["stable"]),
    ("alpine3.22", "alpine", "Alpine Linux v3.22", "2027-05-01", 22, 0, []),
    ("debian12", "debian", "Debian GNU/Linux 12 (bookworm)", "2028-06-30", 60, 0, ["stable"]),
    ("debian12-web", "debian", "Debian GNU/Linux 12 (bookworm)", "2028-06-30", 31, 0, []),
    ("debian13", "debian", "Debian GNU/Linux 13 (trixie)", "2030-06-30", 18, 1, ["stable"]),
    ("fedora41", "fedora", "Fedora Linux 41 (Server Edition)", "2025-11-19", 40, 0, []),
    ("rocky9", "rocky", "Rocky Linux 9.6 (Blue Onyx)", "2032-05-31", 35, 0, ["stable"]),
    ("ubuntu24.04", "ubuntu", "Ubuntu 24.04.3 LTS", "2029-04-30", 52, 0, ["stable", "testing"]),
)


DIFFERENCE = Difference(
    fields=(Change(name="kernel", before="6.1.0-37-amd64", after="6.1.0-41-amd64"),),
    packages=tuple(
        Change(name=name, before=before, after=after)
        for name, before, after in (
            ("base-files", "12.4+deb12u11", "12.4+deb12u12"),
            ("libc6", "2.36-9+deb12u10", "2.36-9+deb12u13"),
            ("libssl3", "3.0.16-1~deb12u1", "3.0.17-1~deb12u3"),
            ("linux-image-6.1.0-37-amd64", "6.1.140-1", None),
            ("linux-image-6.1.0-41-amd64", None, "6.1.158-1"),
            ("openssh-server", "1:9.2p1-2+deb12u6", "1:9.2p1-2+deb12u7"),
            ("openssl", "3.0.16-1~deb12u1", "3.0.17-1~deb12u3"),
            ("sudo", "1.9.13p3-1+deb12u1", "1.9.13p3-1+deb12u2"),
            ("tzdata", "2025b-0+deb12u1", "2025b-0+deb12u2"),
        )
    ),
    packages_known=True,
)


def showcase() -> Overview:
    """An overview as a user may have one."""
    return Overview(templates=tuple(_view(*row, seed=n) for n, row in enumerate(SYSTEMS)))


def _view(
    short_id: str,
    kind: str,
    name: str,
    end_of_life: str,
    count: int,
    revoked: int,
    channels: list[str],
    *,
    seed: int,
) -> TemplateView:
    view = overviews.view(short_id, count, packages=320, revoked=revoked)
    walk = random.Random(seed)
    size_bytes, duration_s = walk.uniform(0.7, 1.9) * 2**30, walk.uniform(420, 1100)
    versions = []
    for one in view.versions:
        size_bytes *= walk.uniform(0.985, 1.01)
        duration_s *= walk.uniform(0.95, 1.05)
        versions.append(_entry(one, kind, name, end_of_life, size_bytes, duration_s))
    good = versions[revoked:]
    return replace(
        view,
        versions=tuple(versions),
        difference=DIFFERENCE,
        current=good[0],
        names={good[0].folder_key: ["latest"], good[1].folder_key: channels},
    )


def _entry(
    one: CatalogEntry, kind: str, name: str, end_of_life: str, size_bytes: float, duration_s: float
) -> CatalogEntry:
    return msgspec.structs.replace(
        one,
        os=msgspec.structs.replace(one.os, type=kind, pretty_name=name, end_of_life=end_of_life),
        xva=msgspec.structs.replace(one.xva, size_bytes=int(size_bytes)),
        build=msgspec.structs.replace(
            one.build, duration_s=duration_s, template=f"templates/{kind}/server"
        ),
    )


def main() -> None:
    """Draw the list and an open template, light, dark and as wide as a phone."""
    made = overviews.NEWEST + timedelta(hours=15)
    body = render(
        showcase(),
        destination="s3://images/xcp-ng",
        base_url="https://images.example/xcp-ng/",
        made_utc=made.isoformat().replace("+00:00", "Z"),
        version="1.0",
    )
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        file = Path(folder) / "index.html"
        file.write_bytes(body)
        for scheme, width, height in (
            ("light", 1180, 700),
            ("dark", 1180, 1240),
            ("phone", 390, 1180),
        ):
            context = chromium.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            page.clock.set_fixed_time(datetime.now(UTC).replace(2026, 11, 24, 8, 0, 0, 0))
            page.goto(file.as_uri() + ("" if scheme == "light" else "#debian12"))
            page.screenshot(path=IMAGES / f"page-{scheme}.png")
            context.close()


if __name__ == "__main__":
    main()
