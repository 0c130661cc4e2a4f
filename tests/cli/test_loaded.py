"""What a command loads before it begins: nothing that only other commands need."""

from __future__ import annotations

import subprocess
import sys

# what makes templates, builds them, and cleans up after builds; who writes for GitHub
OF_BUILDS = {
    "asyncpipe.packer.build",
    "asyncpipe.packer.locate",
    "asyncpipe.packer.watch",
    "asyncpipe.reap.boot_tests",
    "asyncpipe.reap.stored",
    "asyncpipe.report.console.terminal",
    "asyncpipe.report.github",
    "asyncpipe.report.json_log",
    "asyncpipe.run.units.load",
    "asyncpipe.template",
    "botocore",
    "hcl2",
    "rich",
}
LOADED = "import sys, asyncpipe.cli.run.finished; print(*sys.modules)"


def test_a_publication_loads_nothing_of_builds() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "asyncpipe.run.pipeline" in loaded
    assert not loaded & OF_BUILDS
