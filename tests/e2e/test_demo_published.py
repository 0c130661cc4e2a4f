from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.command import LIMIT_S, Desk, needs_packer
from tests.s3_standin.server import running_standin

pytestmark = [pytest.mark.real_packer, needs_packer]

QUICK = ("-var", "seconds=1", "-var", "size_mib=8")


def versions(desk: Desk, where: str = "published/templates/debian12-demo") -> list[str]:
    folder = desk.folder / where
    return sorted(p.parent.name for p in folder.glob("*/metadata.json"))


def alive(desk: Desk) -> list[str]:
    """Command lines of processes that still work in the desk's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(desk.folder) in str((entry / "cwd").readlink()):
                    found.append((entry / "cmdline").read_bytes().decode().replace("\0", " "))
            except OSError:
                continue
    return found


def test_the_demo_is_built_by_real_packer_and_published_to_a_folder(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ended = desk.run("build", "templates/demo", *QUICK)
    assert ended.code == 0, ended.all
    (version,) = versions(desk)
    place = desk.folder / "published/templates/debian12-demo" / version
    assert {path.name for path in place.iterdir()} == {
        "debian12-demo.xva",
        "metadata.json",
        "build.log",
    }
    metadata = json.loads((place / "metadata.json").read_text("utf-8"))
    for name, file in (("xva", "debian12-demo.xva"), ("log", "build.log")):
        digest = hashlib.sha256((place / file).read_bytes()).hexdigest()
        assert metadata["files"][name]["sha256_hex"] == digest
    assert metadata["os"]["release"] == "12.11"  # from the guest: the ISO says 12.11.0
    latest = json.loads((place.parent / "latest.json").read_text("utf-8"))
    assert latest["version"]["timestamp"] == version
    with tarfile.open(place / "debian12-demo.xva") as archive:
        assert archive.getnames()[0] == "ova.xml"
    lines = (place / "build.log").read_text("utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in lines)
    assert "xe vm-import" in ended.out
    assert alive(desk) == []


def test_packer_skips_the_post_processor_that_except_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    file = desk.folder / "templates/demo/demo.pkr.hcl"
    step = 'post-processor "shell-local" {{\n  name = "{0}"\n  inline = ["touch ran-{0}"]\n}}\n'
    steps = "".join(step.format(name) for name in ("sign", "count"))
    file.write_text(file.read_text("utf-8").rstrip().removesuffix("}") + steps + "}\n", "utf-8")
    ended = desk.run("build", "templates/demo", *QUICK, "--except", "sign")
    assert ended.code == 0, ended.all
    assert (desk.folder / "ran-count").exists()
    assert not (desk.folder / "ran-sign").exists()


def test_a_second_run_publishes_beside_the_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    first = desk.run("build", "templates/demo", *QUICK)
    second = desk.run("build", "templates/demo", *QUICK)
    assert (first.code, second.code) == (0, 0), first.all + second.all
    older, newer = versions(desk)
    latest = json.loads((desk.folder / "published/templates/debian12-demo/latest.json").read_text())
    assert latest["version"]["timestamp"] == newer > older
    listed = desk.run("list")
    assert older in listed.out
    assert newer in listed.out


def test_the_same_goes_to_s3_and_leaves_no_upload_open(tmp_path: Path) -> None:
    with running_standin() as standin:
        desk = Desk(tmp_path, environment=dict(standin.environment))
        ended = desk.run("build", "templates/demo", *QUICK, "--destination", standin.destination)
        assert ended.code == 0, ended.all
        names = sorted(key.rsplit("/", 1)[-1] for key in standin.objects() if "/templates/" in key)
        assert names == [
            "000001.json",  # the index of this template
            "build.log",
            "debian12-demo.xva",
            "index.json",
            "latest.json",
            "metadata.json",
            "place.json",
        ]
        assert not standin.uploads()


def test_a_failing_provisioner_exits_20_shows_the_cause_and_leaves_its_log(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ended = desk.run("build", "templates/demo", *QUICK, "-var", "fail_in_provisioner=true")
    assert ended.code == 20, ended.all
    assert "exit status: 7" in ended.out
    (version,) = versions(desk, "published/failed/demo")
    log = (desk.folder / "published/failed/demo" / version / "build.log").read_text("utf-8")
    assert "exit status: 7" in log
    assert versions(desk) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_of_it_and_keeps_a_sealed_log(
    tmp_path: Path, number: signal.Signals
) -> None:
    desk = Desk(tmp_path)
    process = desk.start("build", "templates/demo", "-var", "seconds=60")
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "Setting up" in line:
            break
    process.send_signal(number)
    rest, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, seen + rest + err
    assert f"{number.name}: stopping, cleaning up" in rest
    assert "phase stopping" in rest
    assert "waiting for Packer to clean up" in rest
    assert versions(desk) == []
    (version,) = versions(desk, "published/failed/demo")
    assert "build.log" in desk.files(f"published/failed/demo/{version}")
    assert alive(desk) == []


def test_a_build_that_takes_too_long_exits_21(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ended = desk.run("build", "templates/demo", "-var", "seconds=60", "--build-timeout", "3s")
    assert ended.code == 21, ended.all
    assert versions(desk) == []
    assert alive(desk) == []


def test_the_report_says_what_happened_to_machines(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ended = desk.run(
        "build", "templates/demo", *QUICK, "--report", "report.json", "--log-format", "json"
    )
    assert ended.code == 0, ended.all
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["counts"] == {"published": 1, "failed": 0, "not_started": 0}
    events = [json.loads(line)["event"] for line in ended.out.splitlines()]
    assert events[0] == "run.started"
    assert events[-1] == "run.finished"


def test_secrets_of_the_environment_reach_nothing_that_is_written(tmp_path: Path) -> None:
    secret = "c0rrect-h0rse-battery"
    desk = Desk(tmp_path, environment={"REMOTE_PASSWORD": secret})
    script = tmp_path / "templates/demo/install.sh"
    script.write_text('#!/bin/sh\necho "login with $REMOTE_PASSWORD now"\n', encoding="utf-8")
    ended = desk.run("build", "templates/demo", *QUICK)
    assert ended.code == 0, ended.all
    assert "login with **" in ended.out
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if secret.encode() in path.read_bytes()] == []
    assert secret not in ended.all


def test_killed_at_once_nothing_is_visible_and_reap_finds_the_rest(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    process = desk.start("build", "templates/demo", "-var", "seconds=60")
    assert process.stdout is not None
    for line in process.stdout:
        if "Setting up" in line:
            break
    process.kill()
    process.communicate(timeout=LIMIT_S)
    (run,) = (desk.folder / ".asyncpipe/runs").iterdir()
    ended = desk.run("reap", "--run", str(run))
    assert ended.code == 0, ended.all
    assert versions(desk) == []
    for _ in range(100):
        if not alive(desk):
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert alive(desk) == []
