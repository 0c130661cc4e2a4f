"""``.pkr.hcl``, ``.pkr.json`` and legacy JSON, with var files -> Template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from asyncpipe.model.template import Template
from asyncpipe.template import files, references, select

if TYPE_CHECKING:
    from asyncpipe.template.variables import Inputs

__all__ = ["load"]

_NOTHING: Mapping[str, str] = MappingProxyType({})


def load(
    path: Path,
    *,
    var_files: Sequence[Path] = (),
    variables: Mapping[str, str] = _NOTHING,
    environment: Mapping[str, str] = _NOTHING,
    only: Sequence[str] = (),
    except_: Sequence[str] = (),
    working_directory: Path | None = None,
) -> Template:
    """Read a template as Packer does and evaluate what can be known before the build.

    ``environment`` is where ``PKR_VAR_*`` and ``env()`` look; ``working_directory`` is Packer's,
    the current folder by default. Values that need the build are UNKNOWN; a variable without a
    value has ``is_set`` False.

    Raises:
        TemplateError: no template there, broken, or too large; with file and line.
    """
    # a finished file is published without any template, and need not wait for 40 modules
    from asyncpipe.template import hcl, legacy  # noqa: PLC0415
    from asyncpipe.template.functions.paths import Where  # noqa: PLC0415

    found = files.read(path, var_files)
    inputs = _inputs(found, variables, environment)
    chosen = select.chooser(only, except_)
    cwd = working_directory or Path()
    if found.legacy:
        content = legacy.content_of(found, inputs, chosen)
    else:
        where = Where(folder=found.folder, working_directory=cwd, home=environment.get("HOME", ""))
        content = hcl.content_of(found, inputs, where, chosen)
    named = references.usable(content.references)
    return Template(
        path=path,
        folder=found.folder,
        kind="json" if found.legacy else "hcl2",
        files=found.paths,
        sha256_hex=found.sha256_hex(),
        variables=content.variables,
        locals=content.locals,
        local_locations=content.local_locations,
        sources=tuple(content.sources),
        required_versions=tuple(content.required_versions),
        required_plugins=content.required_plugins,
        referenced_files=references.existing(named, (cwd, found.folder)),
        references=named,
        warnings=tuple(content.warnings),
    )


def _inputs(found: files.Files, given: Mapping[str, str], environment: Mapping[str, str]) -> Inputs:
    from asyncpipe.template.variables import Inputs  # noqa: PLC0415

    return Inputs(
        auto_var_files=found.auto_var_files,
        var_files=found.var_files,
        variables=given,
        environment=environment,
    )
