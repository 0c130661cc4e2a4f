"""Failed builds: what they left under ``failed/``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from asyncpipe.catalog.read import BAD, each, read_failure
from asyncpipe.errors import ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedBuild:
    """One build that published nothing."""

    unit: str
    timestamp: str
    error: str = ""
    exit_code: int | None = None
    log_key: str | None = None

    def as_document(self) -> dict[str, object]:
        """As plain values, for JSON output."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failed builds, newest first, and what is wrong with those that cannot be read."""

    failures: tuple[FailedBuild, ...]
    warnings: tuple[str, ...] = ()


async def list_failures(store: ObjectStore, unit: str | None = None) -> Failures:
    """List the failed builds of a template (its name in the run) or of all."""
    folders: dict[str, set[str]] = {}
    async for info in store.list(f"failed/{unit}/" if unit else "failed/"):
        key = store_keys.parse_version_key(info.key)
        if key is not None:
            folders.setdefault(key.folder_key, set()).add(key.name)
    warnings: list[str] = []

    async def look_at(folder_key: str) -> FailedBuild:
        _, owner, timestamp = folder_key.split("/")
        log = f"{folder_key}/{store_keys.LOG_NAME}"
        found = FailedBuild(
            unit=owner,
            timestamp=timestamp,
            log_key=log if store_keys.LOG_NAME in folders[folder_key] else None,
        )
        try:
            failure = await read_failure(store, folder_key)
        except ObjectMissingError:
            return found
        except BAD as error:
            warnings.append(error.message)
            return found
        return FailedBuild(
            unit=owner,
            timestamp=timestamp,
            error=failure.error,
            exit_code=failure.exit_code,
            log_key=found.log_key,
        )

    newest = sorted(folders, key=lambda key: (key.split("/")[2], key), reverse=True)
    return Failures(failures=tuple(await each(newest, look_at)), warnings=tuple(sorted(warnings)))
