"""The files by which a step hands on outputs and shows its summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def append(environment: Mapping[str, str], name: str, text: str) -> str:
    """Append ``text`` to the file that the variable ``name`` names; "" or why that failed.

    ``name`` is GITHUB_OUTPUT or GITHUB_STEP_SUMMARY; an unset one is not a failure.
    """
    path = environment.get(name)
    if not path or not text:
        return ""
    try:
        with Path(path).open("a", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        return f"{name} could not be written: {error.strerror or error}"
    return ""
