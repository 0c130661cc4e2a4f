"""The environment that bin/ would make, as a folder that leads to the one the tests run in."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.github.workflow_files import ROOT


def made_environment(folder: Path, root: Path = ROOT) -> Path:
    """Return a folder for ASYNCPIPE_VENV that bin/environment.sh takes as it is."""
    python = folder / "bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / ".asyncpipe-as-it-is").touch()
    return folder
