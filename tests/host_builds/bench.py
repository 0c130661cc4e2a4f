"""A template of the xenserver plugin, built against the XAPI stand-in by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import forked
from tests.e2e.command import clean_environment
from tests.xapi_standin.standin import XapiStandIn

LIMIT_S = 120.0
ISO_BYTES = 2 * 1024 * 1024

TEMPLATE = """
packer {
  required_plugins {
    xenserver = {
      version = "~> 0.11.4"
      source  = "github.com/vatesfr/xenserver"
    }
  }
}
variable "remote_host" {}
variable "remote_username" {}
variable "remote_password" { sensitive = true }
variable "output_directory" { default = "output" }
variable "run_timestamp" { default = "" }
variable "run_id" { default = "" }
variable "keep_vm" { default = "never" }
source "xenserver-iso" "small" {
  remote_host       = var.remote_host
  remote_username   = var.remote_username
  remote_password   = var.remote_password
  iso_url           = "ISO_URL"
  iso_checksum      = "none"
  vm_name           = "small-${var.run_id}"
  disk_name         = "small-${var.run_id}"
  disk_size         = 8
  clone_template    = "Other install media"
  communicator      = "none"
  ssh_username      = "nobody"
  boot_wait         = "1s"
  format            = "xva"
  keep_vm           = var.keep_vm
  skip_set_template = true
  output_directory  = var.output_directory
}
build {
  sources = ["source.xenserver-iso.small"]
}
"""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    took_s: float


@dataclass(slots=True)
class Bench:
    """A folder with one template; ``packer`` builds it against ``xapi``."""

    folder: Path
    xapi: XapiStandIn
    packer: Path | None = None  # None: the scripted one
    more: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        (self.folder / "small.iso").write_bytes(os.urandom(ISO_BYTES))
        self.add_template("small")
        if self.packer is None:
            self.packer = self.folder / "packer"
            script = Path(__file__).parent / "scripted_packer.py"
            self.packer.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
            self.packer.chmod(0o755)

    def add_template(self, name: str) -> None:
        where = self.folder / "templates" / name
        where.mkdir(parents=True, exist_ok=True)
        text = TEMPLATE.replace("ISO_URL", self.iso.as_uri()).replace("small-$", f"{name}-$")
        (where / f"{name}.pkr.hcl").write_text(text)

    @property
    def iso(self) -> Path:
        return self.folder / "small.iso"

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(
            self.folder / "home",
            {
                **self.xapi.environment,
                "SCRIPTED_ISO": self.iso.as_uri(),
                "PACKER": str(self.packer),
                "PYTHONPATH": str(Path(__file__).parents[2]),
                **self.more,
            },
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "asyncpipe", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> Ended:
        began_s = time.monotonic()
        done = forked.run(
            arguments,
            folder=self.folder,
            environment=self.environment,
            limit_s=LIMIT_S,
            merged=True,
        )
        return Ended(code=done.returncode, out=done.stdout, took_s=time.monotonic() - began_s)

    def build(self, *arguments: str) -> subprocess.Popen[str]:
        return self.start("build", "templates/small", *arguments)

    def left(self) -> tuple[list[str], list[str]]:
        """VMs and disks that stand at the host."""
        return self.xapi.vms(), self.xapi.vdis()

    @property
    def runs(self) -> list[Path]:
        return sorted((self.folder / ".asyncpipe" / "runs").glob("*"))

    def journal(self, number: int = -1) -> dict[str, Any]:
        """``run.json`` of a run."""
        document: dict[str, Any] = json.loads((self.runs[number] / "run.json").read_text("utf-8"))
        return document

    def metadata(self) -> dict[str, Any]:
        (path,) = (self.folder / "published").glob("templates/*/*/metadata.json")
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return document


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read until a line has ``text``; all that was read."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came: {seen}")


def until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Look until it is so."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def finish(process: subprocess.Popen[str], number: signal.Signals | None = None) -> Ended:
    """Signal, if with anything, and wait for the end."""
    begun = time.monotonic()
    if number is not None:
        process.send_signal(number)
    try:
        out, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    return Ended(process.returncode, out, time.monotonic() - begun)
