"""From a raw disk to an accepted XVA: by hand, and through Packer with a provisioned disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.templates.needs import REPO, need_root
from tests.templates.real_packer import current_packer

SCRIPT = REPO / "templates" / "common" / "disk-to-xva.sh"


def convert(disk: Path, xva: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": "/usr/bin:/bin",
        "DISK": str(disk),
        "XVA": str(xva),
        "VM_NAME": "debian12-20261123T170000Z",
        "VM_VCPUS": "2",
        "VM_MEMORY_MB": "1024",
        "VM_FIRMWARE": "bios",
        "ASYNCPIPE_PYTHON": sys.executable,
        **changes,
    }
    return subprocess.run(
        ["sh", str(SCRIPT)],
        cwd=REPO,
        env={name: value for name, value in variables.items() if value},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def asyncpipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asyncpipe", *arguments],
        cwd=REPO,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"boot sector".ljust(512, b"\0") + bytes(3 << 20))
    return path


def test_the_disk_becomes_an_accepted_xva_and_goes(disk: Path, tmp_path: Path) -> None:
    xva = tmp_path / "out.xva"
    result = convert(disk, xva)
    assert result.returncode == 0, result.stderr
    assert asyncpipe("verify", str(xva)).returncode == 0
    assert not disk.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"VM_NAME": ""}, "VM_NAME is not set"),
        ({"DISK": "/nowhere/disk.raw"}, "there is no disk at /nowhere/disk.raw"),
        ({"ASYNCPIPE_PYTHON": ""}, "asyncpipe is not on PATH and ASYNCPIPE_PYTHON is not set"),
    ],
)
def test_what_is_missing_is_named_and_the_disk_stays(
    disk: Path, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    result = convert(disk, tmp_path / "out.xva", **changes)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert disk.exists()
    assert not (tmp_path / "out.xva").exists()


@pytest.mark.heavy
@pytest.mark.real_packer
def test_a_provisioned_disk_becomes_an_accepted_xva_through_packer(tmp_path: Path) -> None:
    need_root()
    packer = current_packer()
    output = tmp_path / "output"
    result = subprocess.run(
        [
            str(packer.packer),
            "build",
            "-color=false",
            "-var",
            f"output_directory={output}",
            "tests/templates/rootfs/debian-12",
        ],
        cwd=REPO,
        env={**os.environ, "ASYNCPIPE_PYTHON": sys.executable, "CHECKPOINT_DISABLE": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert "asyncpipe-evidence/1 os-release ID=debian" in result.stdout
    xvas = list(output.iterdir())
    assert [path.suffix for path in xvas] == [".xva"]
    verdict = asyncpipe("verify", str(xvas[0]))
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
