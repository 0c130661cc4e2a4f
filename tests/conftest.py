from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Everything but the adapters runs on both; an area that cannot says so in its own conftest."""
    return str(request.param)
