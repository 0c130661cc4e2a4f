from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Pauses between attempts take no time on trio's clock; asyncio proves that it runs there."""
    return (
        ("trio", {"clock": MockClock(autojump_threshold=0)})
        if request.param == "trio"
        else "asyncio"
    )
