from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn


@pytest.fixture
def xapi() -> Iterator[XapiStandIn]:
    with running_xapi() as standin:
        yield standin
