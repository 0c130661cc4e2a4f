from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import structlog

from tests import heavy


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Everything but the adapters runs on both; an area that cannot says so in its own conftest."""
    return str(request.param)


@pytest.fixture(autouse=True)
def log_settings() -> Iterator[None]:
    """A command run in this process points structlog at a stream that ends with its test."""
    yield
    structlog.reset_defaults()


def pytest_configure(config: pytest.Config) -> None:
    _take_signals()
    for group in heavy.GROUPS:
        config.addinivalue_line("markers", f"heavy_{group.name}: {group.what}")


def _take_signals() -> None:
    """Undo what nohup, or a shell that starts a job in the background, lets its children ignore."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# First, since -m deselects by the marks that are set here.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marks = list(item.iter_markers("heavy"))
        if not marks:
            continue
        # a long test of the real Packer needs what the group of the real Packer has
        mark = next((mark for mark in marks if mark.args != ("long",)), marks[0])
        group = heavy.group_of(item.path, mark.args[0] if mark.args else None)
        if group is None:
            raise pytest.UsageError(
                f"{item.nodeid} is heavy but in no group: name one, "
                f'@pytest.mark.heavy("stores"), or give its folder one in tests/heavy.py'
            )
        item.add_marker(f"heavy_{group}")
