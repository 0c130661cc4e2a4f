"""Processes, files and what Python loads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let what is imported here find no ``module``; one that is loaded already stays."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault(module, None)  # "cannot be imported"
    try:
        yield
    finally:
        if modules[module] is None:
            del modules[module]
