from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.updates.archives import Archive, served


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive, and a command line whose cache and destination are its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(tmp_path / "published"))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with served(tmp_path) as archive:
        mirrors = [
            f"debian={archive.url}/debian",
            f"debian-security={archive.url}/security",
            f"ubuntu={archive.url}/ubuntu",
            f"almalinux={archive.url}/almalinux",
        ]
        monkeypatch.setenv("ASYNCPIPE_MIRRORS", "\n".join(mirrors))
        monkeypatch.setenv("ASYNCPIPE_KEYRINGS", str(archive.keyring))
        yield archive
