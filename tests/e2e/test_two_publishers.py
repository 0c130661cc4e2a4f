"""Two processes that publish versions of one system at once: each version stands."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncpipe.system import lock
from asyncpipe.text.format import timestamp_of
from tests.e2e.command import Desk
from tests.e2e.zygote import running_zygote
from tests.s3_standin.server import running_standin
from tests.stores.small_servers import running_small

CLAIMED_S = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where both publish to, and how they get in."""

    destination: str
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Place]:
    """Start the store of this name."""
    if name == "directory":
        yield Place(destination=str(folder / "store"))
    elif name == "stand-in":
        with running_standin() as standin:
            yield Place(destination=standin.destination, environment=standin.environment)
    else:
        (folder / "server").mkdir()
        with running_small(name, folder / "server") as (server, _):
            destination = f"s3://{server.bucket}/two"
            yield Place(destination=destination, environment=server.environment)


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("directory", 3),
        pytest.param("stand-in", 3, marks=pytest.mark.heavy("long")),
        *(
            pytest.param(
                name, 20, marks=[pytest.mark.heavy("stores"), pytest.mark.timeout(1200)], id=name
            )
            for name in ("minio", "s3rver")  # s3rver knows no condition
        ),
    ],
)
def test_every_version_of_two_publishers_stands(name: str, versions: int, tmp_path: Path) -> None:
    with opened(name, tmp_path) as place:
        desks = [desk_in(tmp_path / str(number), place) for number in range(2)]
        failed: list[str] = []

        def publish(desk: Desk) -> None:
            output = desk.folder / "output"
            with running_zygote("asyncpipe.cli.main", "asyncpipe.cli.run.finished") as zygote:
                for _ in range(versions):
                    child = zygote.fork(
                        "asyncpipe.cli.main:run",
                        (["publish", "debian-12.xva", "--destination", place.destination],),
                        folder=desk.folder,
                        environment=desk.environment,
                        output=output,
                    )
                    code = child.wait()
                    failed.extend([f"{code}: {output.read_text()}"] if code else [])

        lanes = [threading.Thread(target=publish, args=(desk,)) for desk in desks]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        assert failed == []
        listed = desks[0].run("list", "--fresh", "--json", "--destination", place.destination)
    assert listed.code == 0, listed.all
    found = json.loads(listed.out)["versions"]
    assert len(found) == len({one["timestamp"] for one in found}) == 2 * versions


def test_a_second_that_another_run_has_claimed_is_left_to_it(tmp_path: Path) -> None:
    place = Place(destination=str(tmp_path / "store"))
    desk = desk_in(tmp_path / "desk", place)
    now = datetime.now(UTC)
    folders = [
        tmp_path / "store/templates/debian12" / timestamp_of(now + timedelta(seconds=after_s))
        for after_s in range(CLAIMED_S)
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "claim.json").write_text('{"run_id": "another"}')
    done = desk.run("publish", "debian-12.xva", "--destination", place.destination)
    assert done.code == 0, done.all
    assert [[path.name for path in folder.iterdir()] for folder in folders] == (
        [["claim.json"]] * CLAIMED_S
    )
    places = sorted(path.parent.name for path in tmp_path.glob("store/templates/*/*/metadata.json"))
    assert len(places) == 1
    assert places[0] > folders[-1].name


def test_one_file_is_published_by_one_process_at_a_time(tmp_path: Path) -> None:
    desk = desk_in(tmp_path / "desk", Place(destination=""))
    first = desk.run("publish", "debian-12.xva")
    assert first.code == 0, first.all
    (folder,) = (desk.folder / ".asyncpipe/publish").iterdir()
    with lock.held(folder):
        second = desk.run("publish", "debian-12.xva")
    assert second.code == 2, second.all
    assert "still at work" in second.err


def desk_in(folder: Path, place: Place) -> Desk:
    """A working folder with an XVA in it."""
    folder.mkdir()
    desk = Desk(folder, environment=dict(place.environment))
    (folder / "disk.raw").write_bytes(b"x" * (3 << 20))
    made = desk.run("xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva")
    assert made.code == 0, made.all
    return desk
