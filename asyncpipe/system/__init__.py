"""Processes, files and what Python loads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
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


def loaded_on_use(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` (PEP 562) that loads a package's names when they are first used.

    ``names``: by the full name of the module that has them, with blanks between them.
    """
    homes = {name: home for home, some in names.items() for name in some.split()}

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(home), name)
        setattr(sys.modules[package], name, found)
        return found

    return load
