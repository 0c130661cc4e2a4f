"""Path -> the files that Packer would read for it, with their bytes; sizes are bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.errors import TemplateError

MAX_HCL_BYTES: Final = 1024 * 1024  # AlmaLinux's cloud images hold 233 kB; 1 MiB takes seconds
MAX_JSON_BYTES: Final = 2 * 1024 * 1024
_HCL, _HCL_JSON = ".pkr.hcl", ".pkr.json"
_AUTO = (".auto.pkrvars.hcl", ".auto.pkrvars.json")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file's name as messages show it, and its text."""

    path: Path
    text: str

    @property
    def is_json(self) -> bool:
        """Whether the file holds JSON rather than HCL."""
        return self.path.name.endswith(".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What one template consists of."""

    legacy: bool
    folder: Path
    templates: tuple[SourceFile, ...]
    auto_var_files: tuple[SourceFile, ...]
    var_files: tuple[SourceFile, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path that was read, sorted."""
        return tuple(sorted({file.path for file in self._all()}))

    def sha256_hex(self) -> str:
        """Digest over the names and bytes of all files, independent of where they stand."""
        digest = hashlib.sha256()
        for file in sorted(self._all(), key=lambda file: (file.path.name, file.text)):
            for part in (file.path.name, file.text):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(f"{len(data)}:".encode() + data)
        return digest.hexdigest()

    def _all(self) -> tuple[SourceFile, ...]:
        return self.templates + self.auto_var_files + self.var_files


def read(path: Path, var_files: Sequence[Path]) -> Files:
    """Read what Packer reads: a folder's ``*.pkr.hcl`` and ``*.pkr.json``, or one file alone.

    Raises:
        TemplateError: nothing there, no template, not text, or too large.
    """
    reader = _Reader()
    if path.is_dir():
        names = _names_in(path)
        templates = [name for name in names if name.endswith((_HCL, _HCL_JSON))]
        if not templates:
            raise TemplateError(
                f"{path}: this folder holds no *.pkr.hcl and no *.pkr.json.",
                hint="Name a template's file or the folder that holds one.",
                file=str(path),
            )
        autos = [name for ending in _AUTO for name in names if name.endswith(ending)]
        return Files(
            legacy=False,
            folder=path,
            templates=tuple(reader.read(path / name) for name in templates),
            auto_var_files=tuple(reader.read(path / name) for name in autos),
            var_files=tuple(map(reader.read, var_files)),
        )
    _check_name(path)
    return Files(
        legacy=not path.name.endswith((_HCL, _HCL_JSON)),
        folder=path.parent,
        templates=(reader.read(path),),
        auto_var_files=(),
        var_files=tuple(map(reader.read, var_files)),
    )


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.is_dir())
    except OSError as error:
        raise _unreadable(folder, error) from error


def _check_name(path: Path) -> None:
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path}: this is not a usable path.", file=str(path)) from error
    if not exists:
        raise TemplateError(
            f"{path}: no such file or folder.",
            hint="Name a template's file or the folder that holds one.",
            file=str(path),
        )
    if path.name.endswith(".pkrtpl.hcl"):
        raise TemplateError(
            f"{path}: .pkrtpl.hcl is text that a template renders, not a template.",
            hint="Name the .pkr.hcl file or its folder.",
            file=str(path),
        )
    if ".pkrvars." in path.name:
        raise TemplateError(
            f"{path}: this file holds values of variables, not a template.",
            hint="Name the template and pass this file with --var-file.",
            file=str(path),
        )
    if not path.name.endswith((_HCL, ".json")):
        raise TemplateError(
            f"{path}: a template's file is named *.pkr.hcl, *.pkr.json or *.json.", file=str(path)
        )


class _Reader:
    """Reads files against one bound for the HCL and one for the JSON of a template."""

    def __init__(self) -> None:
        self._left = {"HCL": MAX_HCL_BYTES, "JSON": MAX_JSON_BYTES}

    def read(self, path: Path) -> SourceFile:
        kind = "HCL" if ".pkr" in path.name else "JSON"  # HCL's JSON form holds HCL in strings
        try:
            if not path.is_file():
                raise TemplateError(f"{path}: no such file.", file=str(path))
            with path.open("rb") as stream:
                data = stream.read(self._left[kind] + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
        self._left[kind] -= len(data)
        if self._left[kind] < 0:
            bound_bytes = MAX_JSON_BYTES if kind == "JSON" else MAX_HCL_BYTES
            raise TemplateError(
                f"{path}: the template's {kind} is larger than {bound_bytes // 1024} KiB.",
                hint="Keep large data out of the template: load it with file() or cd_files.",
                file=str(path),
            )
        return SourceFile(path, _text(path, data))


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateError(
            f"{path}:{line}: this is not UTF-8 text.", file=str(path), line=line
        ) from error


def _unreadable(path: Path, error: OSError) -> TemplateError:
    return TemplateError(f"{path}: cannot be read ({error.strerror}).", file=str(path))
