"""Every command of the catalogue over each kind of store, as a person calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import Desk, Ended
from tests.e2e.test_two_publishers import Place, desk_in, opened


@dataclass(slots=True)
class Catalogue:
    """A desk, and the destination that its commands are about."""

    desk: Desk
    place: Place

    def good(self, *arguments: str, code: int = 0) -> Ended:
        ended = self.desk.run(*arguments, "--destination", self.place.destination)
        assert ended.code == code, (arguments, ended.all)
        return ended

    def published(self, *more: str) -> str:
        """Publish a version of debian12 and return its time."""
        self.good("publish", "debian-12.xva", *more)
        return str(
            json.loads(self.good("latest", "debian12", "--json").out)["version"]["timestamp"]
        )


@pytest.fixture(
    params=[
        pytest.param("directory", marks=pytest.mark.heavy("long")),
        "stand-in",
        pytest.param("minio", marks=[pytest.mark.heavy("stores"), pytest.mark.timeout(600)]),
    ]
)
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalogue]:
    with opened(request.param, tmp_path) as place:
        yield Catalogue(desk_in(tmp_path / "desk", place), place)


def test_every_command_works_over_each_kind_of_store(catalogue: Catalogue) -> None:
    good, desk = catalogue.good, catalogue.desk
    assert desk.run("key", "new", "-o", "key").code == 0
    old = catalogue.published("--signing-key", "key")
    new = catalogue.published("--signing-key", "key", "--expires", "90d")

    # read
    assert [line.split()[0] for line in good("list").out.splitlines()[1:3]] == [
        f"debian12@{new}",
        f"debian12@{old}",
    ]
    assert new in good("show", "debian12").out
    assert old in good("diff", f"debian12@{old}", f"debian12@{new}").out
    assert good("logs", "debian12").code == 0
    good("sbom", "debian12", "--format", "spdx")

    # trust
    good("verify", "debian12", "--signature", "--key", "key.pub")
    good("pull", "debian12", "--require-signature", "--key", "key.pub", "-o", "pulled.xva")
    assert (desk.folder / "pulled.xva").read_bytes() == (desk.folder / "debian-12.xva").read_bytes()
    if catalogue.place.destination.startswith("s3://"):
        assert json.loads(good("url", "debian12", "--json").out)["url"].startswith("http")
    else:
        good("url", "debian12", code=2)

    # roll out, take back
    gate = ("--require", "signature", "--key", "key.pub")
    good("promote", f"debian12@{old}", "--channel", "stable", *gate)
    good("promote", f"debian12@{new}", "--channel", "stable", *gate)
    good("rollback", "debian12:stable", "--reason", "slow")
    assert old in good("latest", "debian12:stable").out
    good("promote", f"debian12@{new}", "--channel", "stable")
    good("revoke", f"debian12@{new}", "--reason", "broken")
    for name in ("debian12", "debian12:stable"):
        assert old in good("latest", name).out
    assert "broken" in good("history", "debian12").out
    assert "REVOKED" in good("list").out
    good("expire", f"debian12@{old}", "--in", "30d")
    good("expire", f"debian12@{old}", "--never")

    # show to others
    good("page", "--publish")
    good("index", "streams")
    other = str(desk.folder / "mirror")
    assert desk.run("mirror", catalogue.place.destination, other).code == 0
    assert desk.run("pull", "debian12", "--destination", other, "-o", "mirrored.xva").code == 0

    # tidy up
    good("index", "rebuild")
    good("index", "repair")
    assert f"debian12@{new}" in good("prune", "--keep", "1", "--yes").out
    assert f"debian12@{new}" not in good("list", "--fresh").out
    assert old in good("latest", "debian12").out
