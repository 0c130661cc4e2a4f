"""The script of ``--boot-check``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.system.files import read_regular

_MAX_BYTES: Final = 1024 * 1024


def read_script(path: Path | None) -> str | None:
    """Read a person's script, None where there is none.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    if path is None:
        return None
    try:
        return read_regular(path, max_bytes=_MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"--boot-check: {path} is no text in UTF-8.") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"--boot-check: {path} cannot be read: {why}.") from error
