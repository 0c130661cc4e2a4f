"""What one client is asked to upload, and with which credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

REGION = "us-east-1"
MIB = 1024 * 1024
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_REGION": REGION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One upload."""

    endpoint: str
    bucket: str
    key: str
    path: Path
    profile: str = "aws"
    ca_bundle: str | None = None
    copies: int = 1

    @property
    def secure(self) -> bool:
        return self.endpoint.startswith("https:")

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc


def environment() -> dict[str, str]:
    """Credentials of the caller, or invented ones for a server that looks at none."""
    return {**ENVIRONMENT, **os.environ}
