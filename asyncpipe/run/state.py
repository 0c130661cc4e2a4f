"""What a run has done so far, on disk: what resuming and reaping start from.

``RUN/run.json``, schema 1, replaced atomically at every change of state. A unit's folder beside it
holds its build.log, the upload's own journal, ``built.json`` once the build has ended well and,
until it is published, the XVA.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from asyncpipe.errors import UsageError
from asyncpipe.model.store_keys import LOG_NAME
from asyncpipe.system.files import replace_file

FILE_NAME = "run.json"
_BUILT_FILE_NAME = "built.json"
SCHEMA_VERSION = 1


class RunJournal:
    """The journal of one run; ``update`` is safe from many tasks."""

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder = folder
        self._state = state
        self._lock = anyio.Lock()

    @classmethod
    def begin(cls, folder: Path, *, run_id: str, timestamp: str, destination: str) -> RunJournal:
        """Describe a new run; nothing is written before ``open``."""
        return cls(
            folder,
            {
                "schema_version": SCHEMA_VERSION,
                "run_id": run_id,
                "timestamp": timestamp,
                "destination": destination,
                "units": {},
            },
        )

    @classmethod
    def read(cls, folder: Path) -> RunJournal:
        """Read the journal of an earlier run.

        Raises:
            UsageError: there is none, or it cannot be read.
        """
        path = folder / FILE_NAME
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["schema_version"] != SCHEMA_VERSION:
                raise UsageError(f"{path} was written by another version of asyncpipe.")
        except FileNotFoundError:
            raise UsageError(
                f"{folder} holds no run.json: it is not the folder of a run.",
                hint="Runs are kept in .asyncpipe/runs/ (see --work-directory).",
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} cannot be read: {error}.") from error
        return cls(folder, state)

    @property
    def timestamp(self) -> str:
        """The run's timestamp, part of every key it publishes."""
        return str(self._state["timestamp"])

    @property
    def run_id(self) -> str:
        """The run's random name."""
        return str(self._state["run_id"])

    @property
    def destination(self) -> str:
        """Where the run publishes."""
        return str(self._state["destination"])

    def unit(self, name: str) -> Mapping[str, Any]:
        """What is known of a unit; empty when nothing is."""
        return dict(self._state["units"].get(name, {}))

    @property
    def units(self) -> tuple[str, ...]:
        """The units in the order in which they were planned."""
        return tuple(self._state["units"])

    async def open(self, templates: Mapping[str, str]) -> None:
        """Make the folder with the journal in it; cancelled, both are there or neither is.

        ``templates`` are the paths of all planned units by name: ``--resume`` builds those too
        whose turn never came. What is known of a unit already stays.

        Raises:
            UsageError: the folder cannot be made.
        """
        async with self._lock:
            for unit, template in templates.items():
                self._state["units"].setdefault(unit, {"state": "planned", "template": template})
            await anyio.to_thread.run_sync(self._write_first)

    def _write_first(self) -> None:
        with making(self.folder):
            _write_json(self.folder / FILE_NAME, self._state)

    async def update(self, unit: str, **changes: object) -> None:
        """Merge ``changes`` into a unit and write the journal."""
        async with self._lock:
            self._state["units"].setdefault(unit, {}).update(changes)
            await anyio.to_thread.run_sync(_write_json, self.folder / FILE_NAME, self._state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build that ended well before its run was interrupted (``built.json``)."""

    xva_path: Path
    log_path: Path
    folder_key: str
    name: str  # of the XVA, less its suffix
    redaction_count: int
    draft: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, run_directory: Path) -> Built | None:
        """Read it; None when there is none or its XVA is gone, so that one builds again."""
        try:
            document = json.loads((run_directory / _BUILT_FILE_NAME).read_text(encoding="utf-8"))
            built = cls(
                xva_path=Path(document["xva"]),
                log_path=run_directory / LOG_NAME,
                folder_key=str(document["folder_key"]),
                name=str(document["name"]),
                redaction_count=int(document["redaction_count"]),
                draft=dict(document["draft"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return built if built.xva_path.is_file() and built.log_path.is_file() else None

    async def keep(self, run_directory: Path) -> None:
        """Write it; from then on the build is not needed again."""
        document = {
            "xva": str(self.xva_path),
            "folder_key": self.folder_key,
            "name": self.name,
            "redaction_count": self.redaction_count,
            "draft": self.draft,
        }
        await anyio.to_thread.run_sync(_write_json, run_directory / _BUILT_FILE_NAME, document)


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Make a run's folder and put into it what it begins with, inside; UsageError where not."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    except OSError as error:
        raise UsageError(
            f"The run's folder {folder} cannot be made: {error.strerror or error}.",
            hint="Name another by --work-directory: one that can be written to, with room for"
            " the XVA.",
        ) from error


def find_run(name: str, work_directory: Path) -> Path:
    """The folder of a run, by its path or by its name; ``last`` is the newest.

    Raises:
        UsageError: ``last``, and there is none. Another folder need not be a run's: ``read`` tells.
    """
    runs = work_directory / "runs"
    if name == "last" and not Path(name).is_dir():
        known = sorted(entry for entry in runs.glob("*") if (entry / FILE_NAME).is_file())
        if not known:
            raise UsageError(f"There is no run in {runs}.", hint="See --work-directory.")
        return known[-1].resolve()
    return (Path(name) if Path(name).is_dir() else runs / name).resolve()


def _write_json(path: Path, document: object) -> None:
    """Replace ``path`` with ``document``: a reader sees the old or the new, after a crash too."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), mode=0o600)
