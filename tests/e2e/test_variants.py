"""Two variants of one system side by side: build, list, pull, channel, prune, resume, reap."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import LIMIT_S, Desk, Ended, needs_packer
from tests.s3_standin.server import running_standin

pytestmark = [pytest.mark.real_packer, needs_packer]

QUICK = ("-var=seconds=0", "-var=size_mib=4")


def write(desk: Desk, name: str, variant: str) -> None:
    """Write a copy of the demo that builds ``variant``."""
    folder = desk.folder / "images" / name
    shutil.copytree(desk.folder / "templates/demo", folder)
    file = folder / "demo.pkr.hcl"
    changes = {
        'variant    = "demo"': f'variant    = "{variant}"',
        "production = false": "production = true",
        'vm_name  = "demo"': f'vm_name  = "{name}"',
    }
    text = file.read_text("utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


@dataclass(slots=True)
class Place:
    """A desk, and where it publishes."""

    desk: Desk
    destination: str

    def run(self, *arguments: str) -> Ended:
        return self.desk.run(*arguments, "--destination", self.destination)

    def good(self, *arguments: str) -> Ended:
        ended = self.run(*arguments)
        assert ended.code == 0, ended.all
        return ended

    def read(self, *arguments: str) -> Any:
        return json.loads(self.good(*arguments, "--json").out)

    def versions(self, name: str) -> list[str]:
        """Timestamps, newest first, by the objects themselves."""
        listed = self.read("list", name, "--fresh")["versions"]
        return [version["timestamp"] for version in listed]

    def killed(self, *arguments: str) -> str:
        """Start a build, kill it while it builds, return its run."""
        known = set(self.desk.folder.glob(".asyncpipe/runs/*"))
        words = (*arguments, "-var=seconds=60", "--destination", self.destination)
        process = self.desk.start(*words)
        assert process.stdout is not None
        for line in process.stdout:
            if "Setting up" in line:
                break
        process.kill()
        process.communicate(timeout=LIMIT_S)
        (run,) = set(self.desk.folder.glob(".asyncpipe/runs/*")) - known
        return run.name


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.heavy("long"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "directory":
        yield Place(Desk(tmp_path), str(tmp_path / "published"))
        return
    with running_standin() as standin:
        yield Place(Desk(tmp_path, environment=dict(standin.environment)), standin.destination)


def test_two_variants_of_one_system_live_side_by_side(place: Place) -> None:
    write(place.desk, "web", "web")
    write(place.desk, "db", "db")

    # one run builds both; list, latest, pull and verify know them by their own names
    place.good("build", "images", *QUICK)
    listed = place.read("list")["versions"]
    names = {version["short_id"]: version["variant"] for version in listed}
    assert names == {"debian12-web": "web", "debian12-db": "db"}
    assert place.versions("debian12") == []
    (first,) = place.versions("debian12-web")
    place.good("channel", "set", "debian12-web:stable", "latest")
    place.good("pull", "debian12-web:stable", "-o", "web.xva")
    place.good("pull", "debian12-db", "-o", ".")
    for file in ("web.xva", "debian12-db.xva"):
        checked = place.desk.run("verify", file)
        assert checked.code == 0, checked.all
    missing = place.run("pull", "debian12-db:stable", "-o", "no.xva")
    assert missing.code == 40, missing.all

    # a channel of one holds nothing of the other: prune counts each by itself
    place.good("build", "images", *QUICK)
    newest = place.versions("debian12-web")[0]
    pruned = place.good("prune", "--keep", "1", "--yes").out
    assert f"removed: debian12-db@{first}" in pruned
    assert f"stays: debian12-web@{first} (channel stable)" in pruned
    assert place.versions("debian12-web") == [newest, first]
    assert place.versions("debian12-db") == [newest]
    assert place.read("latest", "debian12-web")["version"]["timestamp"] == newest

    # a lost index is rebuilt with both, and says which variant each is
    place.good("index", "rebuild")
    listed = place.read("list")["versions"]
    assert {version["variant"] for version in listed} == {"web", "db"}

    # a third kind, by --variant; the run is killed and goes on in the place it had
    run = place.killed("build", "images/web", "--variant", "canary")
    refused = place.run("build", "--resume", run, "--variant", "db", *QUICK)
    assert refused.code == 2, refused.all
    place.good("reap", "--run", run, "--yes")
    place.good("build", "--resume", run, *QUICK)
    assert len(place.versions("debian12-canary")) == 1
    assert place.versions("debian12-web") == [newest, first]

    # what a killed build of one left is removed, and nothing of the others
    run = place.killed("build", "images/db")
    place.good("reap", "--older-than", "0s", "--yes")
    place.good("reap", "--run", run, "--yes")
    assert place.versions("debian12-db") == [newest]
    assert place.versions("debian12-web") == [newest, first]
    assert len(place.versions("debian12-canary")) == 1


@pytest.mark.heavy("long")
def test_another_template_is_refused_before_packer_starts(place: Place) -> None:
    write(place.desk, "web", "web")
    place.good("build", "images/web", *QUICK)
    write(place.desk, "renamed", "web")

    refused = place.run("build", "images/renamed", *QUICK)
    assert refused.code == 43, refused.all
    assert "holds the versions of another template: images/web" in refused.err
    assert "--variant" in refused.err
    assert "--take-over" in refused.err
    assert "Running local shell script" not in refused.out
    checked = place.run("check", "images/renamed")
    assert checked.code == 43, checked.all
    assert "images-renamed place" in checked.out

    place.good("build", "images/renamed", "--variant", "web2", *QUICK)
    taken = place.good("build", "images/renamed", "--take-over", *QUICK)
    assert "debian12-web was taken over from images/web" in taken.err
    place.good("build", "images/renamed", *QUICK)
    back = place.run("build", "images/web", *QUICK)
    assert back.code == 43, back.all
    assert len(place.versions("debian12-web")) == 3
    assert len(place.versions("debian12-web2")) == 1
