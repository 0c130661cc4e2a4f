from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Log files on disk are aiofiles', which runs on asyncio only."""
    return "asyncio"
