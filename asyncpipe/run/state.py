"""What a run has done so far, on disk: where ``--resume`` and ``reap`` start from.

``RUN/run.json`` (``model/documents/run_state.py``) is replaced atomically at every change of
state. The folder of a unit holds its build.log, the upload's own journal, ``built.json`` once the
build has ended well and, until it is published, the XVA.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import msgspec
from anyio.lowlevel import checkpoint_if_cancelled

from asyncpipe.errors import UsageError
from asyncpipe.model.documents import run_state
from asyncpipe.model.documents.run_state import KnownRun, RunRecord, UnitRecord, UnitState
from asyncpipe.model.store_keys import LOG_NAME
from asyncpipe.system import lock
from asyncpipe.system.files import make_folder, read_regular, replace_file
from asyncpipe.system.threads import DaemonWorker
from asyncpipe.text.safe import printable

FILE_NAME: Final = "run.json"
_BUILT_FILE_NAME: Final = "built.json"
_MAX_BYTES: Final = 16 * 1024 * 1024
_WRITE_S: Final = 5.0  # a disk that takes longer is not waited for


class RunJournal:
    """Keeps ``run.json`` of a run; safe from many tasks.

    A note never fails and never waits long: the run's own work is not worth less because its
    journal cannot be written. What the disk refused is in the next note that it takes.
    """

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self._record = record
        self._worker = DaemonWorker("run.json")
        self._problem = ""

    @classmethod
    def begin(
        cls,
        folder: Path,
        *,
        run_id: str,
        timestamp: str,
        destination: str,
        variant: str | None = None,
        expires_s: float | None = None,
        boot_test: str = "off",
    ) -> RunJournal:
        """Describe a new run; nothing is written before ``open``."""
        record = RunRecord(
            run_id=run_id,
            timestamp=timestamp,
            destination=destination,
            variant=variant,
            expires_s=expires_s,
            boot_test=boot_test,
        )
        return cls(folder, record)

    @classmethod
    def read(cls, folder: Path) -> RunJournal:
        """Go on with an earlier run.

        Raises:
            UsageError: the folder is not that of a run, or ``run.json`` is damaged.
        """
        known = read_run(folder)
        for name, problem in known.unreadable.items():
            raise UsageError(
                f"{folder / FILE_NAME} cannot be read: {printable(name, 100)}: {problem}.",
                hint=f"asyncpipe reap --run {folder} cleans up; then build again.",
            )
        return cls(folder, known.record)

    @property
    def timestamp(self) -> str:
        """The run's timestamp, part of every key it publishes."""
        return self._record.timestamp

    @property
    def run_id(self) -> str:
        """The run's random name."""
        return self._record.run_id

    @property
    def destination(self) -> str:
        """Where the run publishes."""
        return self._record.destination

    @property
    def variant(self) -> str | None:
        """The variant that the run was asked for; None: what each template declares."""
        return self._record.variant

    @property
    def expires_s(self) -> float | None:
        """How long its versions are good; None: without an end."""
        return self._record.expires_s

    @property
    def boot_test(self) -> str:
        """How its images are tested before anybody sees them."""
        return self._record.boot_test

    @property
    def units(self) -> Mapping[str, UnitRecord]:
        """What is known of each unit, in the order in which they were planned."""
        return self._record.units

    def state_of(self, unit: str) -> UnitState | None:
        """How far a unit has come; None when the run does not know it."""
        known = self.units.get(unit)
        return known.state if known else None

    async def open(
        self, templates: Mapping[str, str], claimed: Mapping[str, str] | None = None
    ) -> None:
        """Make the folder with the journal in it; cancelled, both are there or neither is.

        ``templates`` are the paths of all planned units by name: ``--resume`` builds those too
        whose turn never came. ``claimed`` are the folders that they hold at the destination: of a
        run that is killed ``reap`` ends the claims too. What is known of a unit already stays.

        Raises:
            UsageError: the folder cannot be made.
        """
        planned = {
            unit: UnitRecord(
                state=UnitState.PLANNED,
                template=template,
                claimed_key=(claimed or {}).get(unit, ""),
            )
            for unit, template in templates.items()
        }
        self._keep({**planned, **self.units})
        await checkpoint_if_cancelled()
        with anyio.CancelScope(shield=True):
            problem = await _within(self._worker, self._write)
        if problem:
            raise _not_made(self.folder, problem)

    async def note(self, unit: str, state: UnitState, **changes: Any) -> str:
        """Move a unit to ``state``, with fields of UnitRecord that change.

        Returns a sentence for a person where the journal could not be written, once until it
        could; "" otherwise. Nothing is raised but the caller's own cancellation.
        """
        known = self.units.get(unit) or UnitRecord(state=state)
        changed = msgspec.structs.replace(known, state=state, **changes)
        self._keep({**self.units, unit: changed})
        return await self._save()

    async def settle(self) -> None:
        """Retry a write that the disk refused; bounded, never raises."""
        if self._problem:
            with anyio.CancelScope(shield=True):
                await self._save()

    async def _save(self) -> str:
        problem = await _within(self._worker, self._write)
        is_new = bool(problem) and not self._problem
        self._problem = problem
        if not is_new:
            return ""
        return (
            f"{self.folder / FILE_NAME} cannot be written ({problem}): after a crash, --resume and"
            " reap would not know what was done since"
        )

    def _keep(self, units: dict[str, UnitRecord]) -> None:
        self._record = msgspec.structs.replace(self._record, units=units)

    def _write(self) -> None:
        """Write the newest record, whatever was newest when this was asked for."""
        make_folder(self.folder, mode=0o700)
        replace_file(self.folder / FILE_NAME, run_state.encode(self._record), mode=0o600)


class Built(msgspec.Struct, frozen=True, kw_only=True, rename={"xva_path": "xva"}):
    """A build that ended well before its run was interrupted (``built.json``)."""

    xva_path: Path
    folder_key: str
    name: str  # of the XVA, less its suffix
    redaction_count: Annotated[int, msgspec.Meta(ge=0)]
    draft: dict[str, Any]

    @classmethod
    def read(cls, run_directory: Path) -> Built | None:
        """Read it; None when it or its files are missing, so that one builds again."""
        try:
            body = read_regular(run_directory / _BUILT_FILE_NAME, max_bytes=_MAX_BYTES)
            built = msgspec.convert(json.loads(body), cls, dec_hook=_path)
        except (OSError, ValueError, RecursionError):
            return None
        whole = built.xva_path.is_file() and (run_directory / LOG_NAME).is_file()
        return built if whole else None

    async def keep(self, run_directory: Path) -> str:
        """Write it, so that the build is not needed again; returns why it could not be written."""
        body = run_state.as_json(msgspec.to_builtins(self, enc_hook=str))
        path = run_directory / _BUILT_FILE_NAME
        return await _within(DaemonWorker(path.name), lambda: replace_file(path, body, mode=0o600))


def _path(kind: type, value: str) -> Path:
    assert kind is Path
    return Path(value)


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Make a run's folder and put into it what it begins with, inside; UsageError where not."""
    try:
        make_folder(folder, mode=0o700)
        yield
    except OSError as error:
        raise _not_made(folder, error.strerror or str(error)) from error


def _not_made(folder: Path, problem: str) -> UsageError:
    return UsageError(
        f"The run's folder {folder} cannot be made: {problem}.",
        hint="Name another by --work-directory: one that can be written to, with room for the XVA.",
    )


def read_run(folder: Path) -> KnownRun:
    """Read what is known of a run; units that cannot be read are named, the others are there.

    Raises:
        UsageError: the folder is not that of a run, or ``run.json`` is damaged as a whole.
    """
    path = folder / FILE_NAME
    try:
        record, unreadable = run_state.decode(read_regular(path, max_bytes=_MAX_BYTES))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no run.json: it is not the folder of a run.",
            hint="Runs are kept in .asyncpipe/runs/ (see --work-directory).",
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {printable(str(error), 300)}.") from error
    return KnownRun(folder=folder, record=record, unreadable=unreadable)


def find_run(name: str, work_directory: Path) -> Path:
    """The folder of a run, by its path or by its name; ``last`` is the newest that has ended.

    Raises:
        UsageError: ``last`` was asked for and there is no run. Other folders are checked when read.
    """
    runs = work_directory / "runs"
    if name == "last" and not Path(name).is_dir():
        newest = newest_ended(work_directory)
        if newest is None:
            state = "no run that has ended" if any(_known(runs)) else "no run"
            raise UsageError(f"There is {state} in {runs}.", hint="See --work-directory.")
        return newest
    return (Path(name) if Path(name).is_dir() else runs / name).resolve()


def newest_ended(work_directory: Path) -> Path | None:
    """The folder of the newest run that no process is at work on."""
    ended = [entry for entry in sorted(_known(work_directory / "runs")) if not lock.is_held(entry)]
    return ended[-1].resolve() if ended else None


def _known(runs: Path) -> Iterator[Path]:
    return (entry for entry in runs.glob("*") if (entry / FILE_NAME).is_file())


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process at work on a run.

    Raises:
        UsageError: another one is; its run is not touched.
    """
    with ExitStack() as stack:
        try:
            with making(folder):
                stack.enter_context(lock.held(folder))
        except lock.HeldError as error:
            who = f" (process {error.pid})" if error.pid else ""
            raise UsageError(
                f"The run {folder.name} is still at work{who}.",
                hint="Wait for its end or stop it (Ctrl-C, SIGTERM): it then cleans up itself.",
            ) from None
        yield


async def _within(worker: DaemonWorker, write: Callable[[], None]) -> str:
    """Write in ``worker``'s thread; returns why that failed, or that the disk did not answer."""
    try:
        with anyio.fail_after(_WRITE_S):
            await worker.run(write)
    except TimeoutError:
        return f"the disk has not answered for {_WRITE_S:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""
