"""The examples of docs/fakes.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "fakes.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_example_does_what_it_says(number: int, backend: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(EXAMPLES[number], str(PAGE), "exec"), names)
    (test,) = [value for name, value in names.items() if name.startswith("test_")]

    async def run() -> None:
        with anyio.fail_after(20):
            await test()

    anyio.run(run, backend=backend)


def test_every_fake_is_on_the_page() -> None:
    modules = {path.stem for path in (PAGE.parents[1] / "asyncpipe/testing").glob("[a-z]*.py")}
    assert modules - {"faults"} == set(re.findall(r"`testing\.(\w+)\.", TEXT))
