"""What changed in a published version's template, and in its scripts, since it was built."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from asyncpipe.errors import TemplateError, UsageError
from asyncpipe.model.documents.catalog import repository_of
from asyncpipe.run import shares
from asyncpipe.run.origin import run_facts
from asyncpipe.run.units import load
from asyncpipe.run.units.git_changes import changed_files
from asyncpipe.settings import Settings
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.updates import reasons
from asyncpipe.updates.reasons import Reason

_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")


@dataclass(slots=True, kw_only=True)
class Changes:
    """Asks git once for each commit; templates that are not here are not judged."""

    settings: Settings
    root: Path
    _files: dict[str, list[Path]] = field(default_factory=dict)

    async def of(self, document: Mapping[str, Any], notes: list[str]) -> list[Reason]:
        """Reasons to build again; why that is not known goes to ``notes``."""
        build = document.get("build") or {}
        path = Path((build.get("template") or {}).get("path") or "")
        source = build.get("source") or {}
        commit = source.get("commit") or ""
        if path.is_absolute() or ".." in path.parts or not (self.root / path).exists():
            return []
        if path == Path() or not _COMMIT.fullmatch(commit):
            return []
        try:
            if await self._is_elsewhere(source.get("remote")):
                return []  # a template of that name, in another repository
            if commit not in self._files:
                self._files[commit] = await changed_files(
                    commit, self.root, self.settings.environment
                )
            return self._touched(path, commit)
        except (UsageError, TemplateError) as error:
            notes.append(f"whether {path} changed is not known: {error.message}")
            return []

    async def _is_elsewhere(self, remote: str | None) -> bool:
        facts = await run_facts.gather(
            SystemProcessRunner(), environment=self.settings.environment, cwd=self.root
        )
        here, there = repository_of(facts.git_remote), repository_of(remote)
        return here is not None and there is not None and here != there

    def _touched(self, path: Path, commit: str) -> list[Reason]:
        files = self._files[commit]
        templates = {str(one.path): one for one in load.read_templates(self.settings, [path])}
        if not shares.changed(templates, files, self.root):
            return []
        relevant = [one for one in files if shares.changed(templates, [one], self.root)]
        return reasons.by_change([os.fspath(one) for one in relevant], commit)
