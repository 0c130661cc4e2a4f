"""What was laid into a repository: a small file beside it, which belongs into its history."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from asyncpipe.errors import UsageError
from asyncpipe.starter.files import CI_FILES
from asyncpipe.system.files import replace_file
from asyncpipe.text.safe import printable

RECORD: Final = ".asyncpipe-files.json"
_MOST_BYTES: Final = 1024 * 1024


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What ``asyncpipe init`` laid, for ``asyncpipe update``."""

    schema_version: int = 1
    version: str  # of asyncpipe
    templates: list[str]
    ci: str
    files: dict[str, str]  # path -> SHA-256 of the file as we laid it


def read_record(root: Path) -> Record | None:
    """Return the record of a repository, None where nothing was laid.

    Raises:
        UsageError: it cannot be read, or is of a newer kind.
    """
    path = root / RECORD
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            record = msgspec.json.decode(file.read(_MOST_BYTES), type=Record)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"{RECORD} cannot be read: {error}.") from error
    if record.schema_version != 1:
        raise UsageError(f"{RECORD} was written by a newer asyncpipe.", hint="Use that one.")
    foreign = [one for one in record.files if Path(one).is_absolute() or ".." in Path(one).parts]
    if foreign or record.ci not in CI_FILES:
        what = foreign[0] if foreign else record.ci
        raise UsageError(f"{RECORD} names {printable(what, 100)}, which asyncpipe never laid.")
    return record


def written_record(root: Path, record: Record) -> None:
    """Write it whole."""
    body = msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n"
    replace_file(root / RECORD, body, mode=0o666)
