"""The packages that the extra ``boot-test`` brings."""

from __future__ import annotations

import importlib.util

from asyncpipe.errors import UsageError


def require_extra(*modules: str) -> None:
    """Raise UsageError where one of them is not installed; the hint installs it."""
    missing = [module for module in modules if not _is_installed(module)]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"A boot test needs {', '.join(missing)}, which {are} not installed.",
            hint="pip install 'asyncpipe[boot-test]'",
        )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not there
        return False
