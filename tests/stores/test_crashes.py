"""A hundred publications killed at random instants: none is half visible, reap leaves no orphan."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from tests.e2e.command import Desk
from tests.e2e.zygote import Forked, Zygote, kill_after, running_zygote
from tests.soak import verdict
from tests.soak.places import Place
from tests.stores.real_servers import running_swift
from tests.stores.small_servers import running_small

ROUNDS = 100
MODULES = ("asyncpipe.cli.main", "asyncpipe.cli.run.finished", "asyncpipe.stores.s3.store")


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Place]:
    """Start the store of this name."""
    folder.mkdir()
    if name == "directory":
        yield Place(name=name, destination=str(folder / "store"))
    elif name == "swift":
        with running_swift(folder) as server:
            yield Place(
                name=name, destination=f"s3://{server.bucket}/c", environment=server.environment
            )
    else:
        with running_small(name, folder) as (server, _):
            yield Place(
                name=name, destination=f"s3://{server.bucket}/c", environment=server.environment
            )


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("directory", 5),
        *(
            pytest.param(
                name, ROUNDS, marks=[pytest.mark.heavy("crash"), pytest.mark.timeout(3000)]
            )
            for name in ("minio", "directory", "swift")
        ),
    ],
)
def test_killed_at_any_instant_no_version_is_half_visible_and_reap_leaves_no_orphan(
    name: str, rounds: int, tmp_path: Path
) -> None:
    with opened(name, tmp_path / "server") as place, running_zygote(*MODULES) as zygote:
        desk = with_xva(tmp_path / "desk", place)
        began_s = time.monotonic()
        assert publish(zygote, desk, place).wait() == 0, output(desk)
        whole_s = time.monotonic() - began_s
        chance, killed = random.Random(20261126), 0
        for number in range(rounds):
            child = publish(zygote, desk, place)
            killed += kill_after(child, chance.uniform(0, whole_s)) == -9
            if number % 10 == 9 or number == rounds - 1:
                assert anyio.run(verdict.visible, place) == []
        assert killed
        if chance.random() < 0.5:  # what the last one left is found by its folder, or by the sweep
            (folder,) = (desk.folder / ".asyncpipe/publish").iterdir()
            command(zygote, desk, "reap", "--run", str(folder)).wait()
        reaped = command(
            zygote, desk, "reap", "--older-than", "0s", "--destination", place.destination
        )
        assert reaped.wait() == 0, output(desk)  # what a hundred kills left takes Swift minutes
        findings, count = verdict.of_store(place)
    assert findings == []
    assert count >= 1
    assert "Traceback" not in output(desk)


def with_xva(folder: Path, place: Place) -> Desk:
    """A working folder with an XVA of two parts in it."""
    folder.mkdir()
    desk = Desk(folder, environment=dict(place.environment))
    (folder / "disk.raw").write_bytes(random.Random(1).randbytes(7 << 20))
    made = desk.run("xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva")
    assert made.code == 0, made.all
    return desk


def publish(zygote: Zygote, desk: Desk, place: Place) -> Forked:
    argv = ("publish", "debian-12.xva", "--part-size=5MiB", "--destination", place.destination)
    return command(zygote, desk, *argv)


def command(zygote: Zygote, desk: Desk, *argv: str) -> Forked:
    """Start a command line in a fork."""
    return zygote.fork(
        "asyncpipe.cli.main:run",
        (list(argv),),
        folder=desk.folder,
        environment=desk.environment,
        output=desk.folder / "output",
    )


def output(desk: Desk) -> str:
    """All that the children printed."""
    return (desk.folder / "output").read_text()
