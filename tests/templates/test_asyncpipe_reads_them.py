"""The pipeline names every template rightly and shows where its build would go."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e import forked
from tests.templates.needs import REPO, need_root
from tests.templates.real_packer import current_packer

SYSTEMS = {
    "templates/debian/12": "debian12",
    "templates/debian/12-lvm": "debian12",
    "templates/debian/13": "debian13",
    "templates/debian/13-lvm": "debian13",
    "templates/ubuntu/22.04": "ubuntu22.04",
    "templates/ubuntu/24.04": "ubuntu24.04",
    "templates/ubuntu/26.04": "ubuntu26.04",
    "templates/almalinux/8": "almalinux8",
    "templates/almalinux/9": "almalinux9",
    "templates/almalinux/10": "almalinux10",
    "templates/rocky/8": "rocky8",
    "templates/rocky/9": "rocky9",
    "templates/rocky/10": "rocky10",
    "templates/centos-stream/10": "centos-stream10",
    "templates/oracle/9": "ol9",
    "templates/oracle/10": "ol10",
    "templates/rhel/9": "rhel9",
    "templates/rhel/10": "rhel10",
    "templates/qemu/debian-12": "debian12",
}


def asyncpipe(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    host = {
        "PKR_VAR_remote_host": "host.example",
        "PKR_VAR_remote_username": "builder",
        "PKR_VAR_remote_password": "invented-host-password",
    }
    environment = {**os.environ, **host, **changes}
    return forked.run(arguments, folder=REPO, environment=environment, limit_s=900)


@pytest.mark.parametrize("folder", SYSTEMS)
def test_detect_names_the_system(folder: str) -> None:
    result = asyncpipe("detect", folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{folder}: {SYSTEMS[folder]} (")


def test_a_dry_run_shows_what_would_be_built_and_where_it_would_go(tmp_path: Path) -> None:
    stand_in = tmp_path / "packer"
    stand_in.write_text("#!/bin/sh\necho 'Packer v1.16.0'\n")
    stand_in.chmod(0o755)
    folders = [folder for folder in SYSTEMS if "qemu" not in folder]
    result = asyncpipe(
        "build",
        "--dry-run",
        f"--packer={stand_in}",
        f"--work-directory={tmp_path / 'work'}",
        f"--destination=file://{tmp_path}/published",
        *folders,
    )
    assert result.returncode == 0, result.stderr
    for folder in folders:
        place = SYSTEMS[folder] + ("-lvm" if folder.endswith("-lvm") else "")
        assert f"template     {folder}\n" in result.stdout
        assert f"published/templates/{place}/" in result.stdout
        assert f"/{place}.xva\n" in result.stdout
    assert result.stdout.count("-var=output_directory=") == len(folders)
    assert result.stdout.count("-var=run_timestamp=") == len(folders)
    assert "invented-host-password" not in result.stdout


@pytest.mark.parametrize(
    ("folder", "arguments", "place"),
    [
        ("templates/debian/12", ("-var", "firmware=uefi"), "debian12-uefi"),
        (
            "templates/rocky/9",
            ("-var", "firmware=uefi", "-var", "hardening_profile=strict"),
            "rocky9-uefi-strict",
        ),
        ("templates/debian/12", ("-var", "firmware=uefi", "--variant", "web"), "debian12-web"),
        ("templates/debian/12", ("-var", "variant=db"), "debian12-db"),
        ("templates/qemu/debian-12", (), "debian12-qemu"),
        ("templates/qemu/debian-12", ("-var", "firmware=uefi"), "debian12-qemu-uefi"),
        ("templates/demo", (), "debian12-demo"),
    ],
)
def test_what_differs_from_the_usual_is_published_as_a_variant(
    tmp_path: Path, folder: str, arguments: tuple[str, ...], place: str
) -> None:
    stand_in = tmp_path / "packer"
    stand_in.write_text("#!/bin/sh\necho 'Packer v1.16.0'\n")
    stand_in.chmod(0o755)
    where = (f"--packer={stand_in}", f"--work-directory={tmp_path / 'work'}")
    destination = f"--destination=file://{tmp_path}/published"
    result = asyncpipe("build", "--dry-run", *where, destination, *arguments, folder)
    assert result.returncode == 0, result.stderr
    assert f"published/templates/{place}/" in result.stdout
    assert f"/{place}.xva\n" in result.stdout


@pytest.mark.heavy
@pytest.mark.real_packer
def test_a_disk_made_here_is_published_with_the_identity_of_its_guest(tmp_path: Path) -> None:
    need_root()
    packer = current_packer()
    published = tmp_path / "published"
    result = asyncpipe(
        "build",
        f"--packer={packer.packer}",
        f"--work-directory={tmp_path / 'work'}",
        f"--destination=file://{published}",
        "tests/templates/rootfs/debian-12",
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    version = next((published / "templates/debian12").glob("*Z"))
    assert asyncpipe("verify", str(version / "debian12.xva")).returncode == 0
    metadata = json.loads((version / "metadata.json").read_text())
    assert metadata["os"]["short_id"] == "debian12"
    assert metadata["os"]["release"].startswith("12.")
    assert "os-release" in {evidence["kind"] for evidence in metadata["os"]["evidence"]}
    assert metadata["guest"]["complete"]
    assert metadata["guest"]["agent"] == "xe-guest-utilities 8.4.0-1"
    assert metadata["guest"]["hardening_profile"] == "baseline"
    assert "cloud-init" in json.dumps(metadata["packages"])
    assert metadata["xva"]["verdict"] == "accept"
    assert "asyncpipe-evidence/1 os-release ID=debian" in (version / "build.log").read_text()
