"""A short soak: nothing leaks, every published version verifies, every failure has its log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.soak.__main__ import soak

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1400)]
SECONDS = 240


def test_nothing_leaks_and_every_version_verifies(tmp_path: Path) -> None:
    report = soak(tmp_path, seconds=SECONDS, seed=20261126)
    sys.stdout.write("\n".join(report.lines))
    assert report.findings == []
