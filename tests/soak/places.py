"""Where a soak publishes to: MinIO where its program is, and a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.stores.flipping import Flips, flipping
from tests.stores.small_servers import SMALL, program_of, running_small

NAMES: Final = ("minio", "directory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store, two ways to it, and how it is made to crash."""

    name: str
    destination: str
    environment: Mapping[str, str] = field(default_factory=dict)
    bad_line: Mapping[str, str] | None = None  # the environment in which bytes are flipped
    restart: Callable[[], None] | None = None


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Place]:
    """Start the store; skips, as pytest does, where MinIO can be neither found nor built."""
    folder.mkdir(parents=True)
    if name == "directory":
        yield Place(name=name, destination=str(folder / "store"))
        return
    with running_small(name, folder) as (server, running):
        flips = Flips(b"/templates/")
        with flipping(running.endpoint_url, flips) as through:
            yield Place(
                name=name,
                destination=f"s3://{server.bucket}/soak",
                environment=server.environment,
                bad_line={**server.environment, "AWS_ENDPOINT_URL_S3": through},
                restart=running.restart,
            )


def available(names: tuple[str, ...] = NAMES) -> tuple[list[str], list[str]]:
    """The places that there can be on this machine, and why others cannot."""
    found, missing = [], []
    for name in names:
        try:
            if name != "directory":
                program_of(SMALL[name])
            found.append(name)
        except pytest.skip.Exception as reason:
            missing.append(f"{name}: {reason}")
    return found, missing


def packer_is_here() -> bool:
    """Tell whether builds can be part of the soak."""
    return shutil.which("packer") is not None
