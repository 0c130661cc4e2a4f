"""docs/stores.md shows what real servers answer today."""

from __future__ import annotations

import pytest

from tests.stores import table

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", table.SERVERS)
def test_the_row_of_a_server_is_what_it_answers(name: str) -> None:
    rows = table.asked([name])
    if not rows:
        pytest.skip(f"{name} cannot be started here")
    assert table.page_with(rows) == table.PAGE.read_text(encoding="utf-8")
