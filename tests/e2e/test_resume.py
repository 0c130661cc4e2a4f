from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.e2e import many
from tests.e2e.command import LIMIT_S, Desk, needs_packer
from tests.s3_standin.server import running_standin

T = TypeVar("T")

pytestmark = [pytest.mark.real_packer, needs_packer]


def test_killed_in_the_upload_a_resumed_run_publishes_without_building_again(
    tmp_path: Path,
) -> None:
    with running_standin() as standin:
        desk = Desk(tmp_path, environment=dict(standin.environment))
        process = desk.start(
            "build",
            "templates/demo",
            "-var=seconds=1",
            "-var=size_mib=24",
            "--no-eager",
            "--bandwidth=6MiB",
            f"--destination={standin.destination}",
        )
        assert process.stdout is not None
        for line in process.stdout:
            if "phase verify" in line:
                break
        process.kill()
        process.communicate(timeout=LIMIT_S)
        visible = [key for key in standin.objects() if "/templates/" in key]
        assert [key.rsplit("/", 1)[-1] for key in visible] == ["claim.json", "place.json"]
        (run,) = (desk.folder / ".asyncpipe/runs").iterdir()
        shutil.move(desk.folder / "templates", desk.folder / "elsewhere")
        (desk.folder / "templates").mkdir()
        shutil.copytree(desk.folder / "elsewhere/demo", desk.folder / "templates/demo")

        ended = desk.run("build", "--resume", run.name)
        assert ended.code == 0, ended.all
        assert "Running local shell script" not in ended.out  # nothing was built again
        names = {key.rsplit("/", 1)[-1] for key in standin.objects() if "/templates/" in key}
        assert {"debian12-demo.xva", "metadata.json", "build.log", "latest.json"} <= names
        assert not standin.uploads()

        again = desk.run("build", "--resume", run.name)
        assert again.code == 0, again.all
        assert "already published" in again.all


@pytest.mark.heavy("long")
def test_what_the_store_had_when_the_run_was_killed_is_not_sent_again(tmp_path: Path) -> None:
    with running_standin() as standin:
        desk = Desk(tmp_path, environment=dict(standin.environment))
        process = desk.start(
            "build",
            "templates/demo",
            "-var=seconds=0",
            "-var=size_mib=40",
            "--no-eager",
            "--part-size=5MiB",
            "--concurrency=1",
            "--bandwidth=6MiB",
            f"--destination={standin.destination}",
        )
        (upload,) = eventually(  # the probe begins some too
            lambda: [one for one in standin.uploads() if one.key.endswith("debian12-demo.xva")]
        )
        eventually(lambda: list(standin.parts(upload.upload_id)))
        process.kill()
        process.communicate(timeout=LIMIT_S)
        had = set(standin.parts(upload.upload_id))
        (run,) = (desk.folder / ".asyncpipe/runs").iterdir()
        before = len(standin.requests)

        ended = desk.run("build", "--resume", run.name)
        assert ended.code == 0, ended.all
        sent = {
            seen.part_number
            for seen in standin.requests[before:]
            if seen.operation == "UploadPart" and seen.key == upload.key
        }
        assert sent
        assert not had & sent
        assert not standin.uploads()


def eventually(look: Callable[[], Sequence[T]]) -> Sequence[T]:
    """What ``look`` finds, as soon as that is something."""
    until_s = time.monotonic() + LIMIT_S
    while not (found := look()):
        assert time.monotonic() < until_s
        time.sleep(0.01)
    return found


def test_killed_in_the_build_a_resumed_run_builds_again_under_the_same_timestamp(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    process = desk.start("build", "templates/demo", "-var=seconds=60")
    assert process.stdout is not None
    for line in process.stdout:
        if "Setting up" in line:
            break
    process.kill()
    process.communicate(timeout=LIMIT_S)
    (run,) = (desk.folder / ".asyncpipe/runs").iterdir()
    desk.run("reap", "--run", str(run))
    ended = desk.run("build", "--resume", str(run), "-var=seconds=1", "-var=size_mib=8")
    assert ended.code == 0, ended.all
    timestamp = run.name.split("-")[0]
    files = desk.files("published/templates/debian12-demo")
    assert f"{timestamp}/debian12-demo.xva" in files


@pytest.mark.heavy("long")
def test_a_matrix_that_was_cancelled_early_resumes_with_those_whose_turn_never_came(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    first = many.Copy(system="debian", version="11", seconds=60)
    many.write(desk.folder / "many", (first, many.GOOD[1], many.GOOD[3]))
    process = desk.start("build", "many", "-j1")
    assert process.stdout is not None
    for line in process.stdout:
        if "Setting up" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    (run,) = (desk.folder / ".asyncpipe/runs").iterdir()
    ended = desk.run("build", "--resume", run.name, "-var=seconds=1", "-j2")
    assert ended.code == 0, ended.all
    published = {
        name.split("/")[0] for name in desk.files("published/templates") if name.endswith(".xva")
    }
    assert published == {"debian11", "debian12", "rocky9"}


def test_a_finished_xva_is_published_by_hand(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "disk.raw").write_bytes(b"x" * (3 << 20))
    made = desk.run("xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva")
    assert made.code == 0, made.all
    ended = desk.run("publish", "debian-12.xva")
    assert ended.code == 0, ended.all
    assert any(name.endswith("/debian12.xva") for name in desk.files("published/templates"))
    assert (tmp_path / "debian-12.xva").exists()

    (tmp_path / "debian-11.xva").write_bytes((tmp_path / "debian-12.xva").read_bytes()[:-2048])
    cut = desk.run("publish", "debian-11.xva")
    assert cut.code == 31, cut.all
    assert not any("debian11/" in name for name in desk.files("published/templates"))
