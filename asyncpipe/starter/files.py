"""Which files a template needs, and where they come from: package data, or this checkout."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.text.safe import printable

DEMO: Final = "demo"
# system -> {path in the user's repository: our file in ci/}
CI_FILES: Final[dict[str, dict[str, str]]] = {
    "github": {".github/workflows/build-templates.yml": "github.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab.yml"},
    "forgejo": {".forgejo/workflows/build-templates.yml": "forgejo.yml"},
    "gitea": {".gitea/workflows/build-templates.yml": "forgejo.yml"},
    "jenkins": {"Jenkinsfile": "Jenkinsfile"},
    "cron": {"ci/build-templates.sh": "cron.sh"},
    "none": {},
}

_HERE: Final = Path(__file__).parent
_SHARED: Final = re.compile(r"\.\./(common/[\w./-]+)")  # as the templates name it
_PROVISIONING: Final = "../provisioning"
_PINNED: Final = re.compile(r"asyncpipe==[\w.+!]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterFile:
    """One file of ours, links resolved."""

    path: str  # below the repository, with slashes
    body: bytes
    is_executable: bool = False

    @property
    def sha256_hex(self) -> str:
        """The digest by which an untouched copy is known."""
        return hashlib.sha256(self.body).hexdigest()


def available() -> list[str]:
    """Names of the templates that can be laid: ``demo``, ``debian/12`` and so on."""
    folder = _root() / "templates"
    found = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.pkr.hcl")}
    return sorted(found)


def files_of(templates: Iterable[str], ci: str, version: str) -> dict[str, StarterFile]:
    """Return all that ``templates`` and a CI system need, by path; ``version`` is pinned there.

    Raises:
        UsageError: there is no template of that name.
    """
    paths: set[str] = set()
    for name in templates:
        _require_available(name)
        paths.update(_needed(f"templates/{name}"))
    found = {path: _read(_root() / path, path) for path in sorted(paths)}
    for path, source in CI_FILES[ci].items():
        file = _read(_HERE / "ci" / source, path)
        body = _PINNED.sub(f"asyncpipe=={version}", file.body.decode("utf-8")).encode()
        found[path] = StarterFile(path=path, body=body, is_executable=file.is_executable)
    return found


def _root() -> Path:
    """The folder that holds templates/ and provisioning/."""
    packaged = _HERE / "data"  # in a wheel; pyproject.toml puts it there
    return packaged if packaged.is_dir() else _HERE.parents[1]


def _require_available(name: str) -> None:
    known = available()
    if name not in known:
        raise UsageError(
            f"There is no template called {printable(name, 100)}.",
            hint=f"Known: {', '.join(known)}.",
        )


def _needed(folder: str) -> Iterator[str]:
    texts = ""
    for path in _files_below(folder):
        yield path
        if path.endswith(".hcl"):
            texts += (_root() / path).read_text(encoding="utf-8")
    for shared in _SHARED.findall(texts):
        yield from _files_below(f"templates/{shared}")
    if _PROVISIONING in texts:
        yield from _files_below("provisioning")


def _files_below(path: str) -> Iterator[str]:
    whole = _root() / path
    files = [whole] if whole.is_file() else sorted(whole.rglob("*"))
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(_root()).as_posix()


def _read(source: Path, path: str) -> StarterFile:
    executable = os.access(source, os.X_OK)
    return StarterFile(path=path, body=source.read_bytes(), is_executable=executable)
