"""Debian's Chromium driven by Playwright, and axe-core; both tools are fetched into the cache.

Nothing of them is a dependency: without a browser, network or npm the tests skip by name.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.stores.real_servers import cache_folder

PLAYWRIGHT: Final = "1.55.0"
AXE: Final = "4.14.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A tab, and what its console said."""

    page: Any
    said: list[str] = field(default_factory=list)


def chromium() -> str:
    """The program; skips where none is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is not installed; apt-get install chromium")


def fetched(name: str, *argv: str | Path) -> Path:
    """A folder of the cache that ``argv`` fills with ``{home}`` once; skips where it cannot."""
    home = cache_folder() / name
    if (home / "whole").exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if shutil.which(str(argv[0])) is None:
        pytest.skip(f"{name} is fetched by {argv[0]}, which is not installed here")
    done = subprocess.run(
        [str(one).replace("{home}", str(home)) for one in argv],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(home, ignore_errors=True)
        pytest.skip(f"{name} cannot be fetched here: {done.stderr.strip()[-300:]}")
    (home / "whole").touch()
    return home


def from_pypi(*requirements: str) -> Path:
    """A folder with packages of PyPI, apart from our own environment."""
    name = "-".join(one.replace("==", "-") for one in requirements)
    return fetched(
        name, sys.executable, "-m", "pip", "install", "-q", "--target", "{home}", *requirements
    )


def axe() -> str:
    """The source of axe-core."""
    home = fetched(
        f"axe-core-{AXE}", "npm", "install", "--no-save", "--prefix", "{home}", f"axe-core@{AXE}"
    )
    return (home / "node_modules/axe-core/axe.min.js").read_text("utf-8")


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium of Playwright's API."""
    program = chromium()
    sys.path.insert(0, str(from_pypi(f"playwright=={PLAYWRIGHT}")))
    try:
        playwright = importlib.import_module("playwright.sync_api")
    finally:
        sys.path.pop(0)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=program, args=sandbox)
        try:
            yield launched
        finally:
            launched.close()
