"""Template + options -> BuildPlan: everything about a build is decided here, nothing is started."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from asyncpipe.errors import UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.run import GRACE_S, HOST_ANSWER_S
from asyncpipe.model.template import Template, TemplateSource
from asyncpipe.text.secrets import passed_on

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One unit to plan: which template, where its run lives, what is known about the machine."""

    unit: str
    template: Template
    source: TemplateSource | None
    identity: OsIdentity
    variant: str = ""
    expires_s: float | None = None
    timestamp: str
    run_id: str = ""
    run_directory: Path
    working_directory: Path
    packer_path: Path
    packer_version: str
    environment: Mapping[str, str] = field(repr=False)
    build_secrets: Mapping[str, str] = field(repr=False, default_factory=dict)
    var_files: Sequence[Path] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    only: Sequence[str] = ()
    except_: Sequence[str] = ()
    packer_environment: Sequence[str] = ()
    python: str = "python3"
    explicit_os: str | None = None
    explicit_os_version: str | None = None
    strict_identity: bool = False
    grace_s: float = GRACE_S
    build_timeout_s: float | None = None
    host_timeout_s: float = HOST_ANSWER_S
    keep_failed_s: float | None = None  # None: the VM of a failed build is removed


def expand(request: Request) -> BuildPlan:
    """Decide argv, environment and folders of one build.

    Raises:
        UsageError: a required variable has no value, or the output folder cannot be the run's own.
    """
    _require_variables(request.template)
    _require_host(request.template)
    _refuse_visible_secrets(request)
    _require_keeping(request)
    output_directory = _output_directory(request)
    return BuildPlan(
        unit=request.unit,
        template=request.template,
        packer_path=request.packer_path,
        packer_version=request.packer_version,
        packer_arguments=_arguments(request, output_directory),
        packer_environment=_environment(request),
        working_directory=request.working_directory,
        run_directory=request.run_directory,
        output_directory=output_directory,
        timestamp=request.timestamp,
        static_identity=request.identity,
        variant=request.variant,
        expires_s=request.expires_s,
        source_name=request.source.full_name if request.source else "",
        explicit_os=request.explicit_os,
        explicit_os_version=request.explicit_os_version,
        strict_identity=request.strict_identity,
        grace_s=request.grace_s,
        build_timeout_s=request.build_timeout_s,
        host_answer_s=request.host_timeout_s if _builds_on_host(request) else None,
        keep_vm="" if request.keep_failed_s else _keep_vm(request),
        keep_failed_s=request.keep_failed_s,
    )


def folder_key(identity: OsIdentity, unit: str, variant: str, timestamp: str) -> str:
    """``templates/debian12-web/20261123T170000Z``."""
    return store_keys.folder_key(published_name(identity, unit, variant), timestamp)


def published_name(identity: OsIdentity, unit: str, variant: str) -> str:
    """``debian12-web``: the place; an unknown system is published as ``unknown-<unit>``."""
    return store_keys.place_name(slug(identity.short_id or f"unknown-{unit}"), variant)


def slug(text: str) -> str:
    """Lower-case letters, digits, dots, dashes and underscores only; never empty, never ``..``."""
    cleaned = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")
    return cleaned[:100] or "unnamed"


def moved(build_plan: BuildPlan, run_directory: Path) -> BuildPlan:
    """The same build in another run folder: a further attempt starts from nothing."""
    old = str(build_plan.output_directory)
    if build_plan.output_directory.parent != build_plan.run_directory:
        return replace(build_plan, run_directory=run_directory)
    fresh = run_directory / build_plan.output_directory.name
    arguments = tuple(
        f"-var=output_directory={fresh}" if argument == f"-var=output_directory={old}" else argument
        for argument in build_plan.packer_arguments
    )
    return replace(
        build_plan,
        run_directory=run_directory,
        output_directory=fresh,
        packer_arguments=arguments,
    )


def expected_size_bytes(template: Template) -> int | None:
    """Estimate an upper bound of the XVA from the disks that the template asks for.

    ``disk_size`` is in MB for xenserver-iso (the plugin's documentation); an XVA adds a header
    and a checksum member, 1.5 KiB, to each MiB.
    """
    sizes_mib = [
        size for source in template.sources for size in _disk_sizes_mib(dict(source.attributes))
    ]
    return round(sum(sizes_mib) * _MIB * 1.01) + 64 * _MIB if sizes_mib else None


def _disk_sizes_mib(attributes: dict[str, object]) -> list[int]:
    disks = attributes.get("disks")
    entries = disks if isinstance(disks, list) else [disks]
    candidates = [attributes, *(entry for entry in entries if isinstance(entry, dict))]
    found = (candidate.get("disk_size") for candidate in candidates)
    return [int(size) for size in found if isinstance(size, int | float) and size > 0]


def unit_names(templates: Sequence[Template], root: Path) -> list[str]:
    """Name each template by its path below ``templates/``: stable, short and unique.

    ``templates/debian/12`` is ``debian-12``; ``x/disk.pkr.hcl`` is ``x-disk``.
    """
    names = [slug(_readable(template.path, root)) for template in templates]
    return [
        name if names.count(name) == 1 else f"{name}-{names[: i + 1].count(name)}"
        for i, name in enumerate(names)
    ]


def _readable(path: Path, root: Path) -> str:
    path = path if path.is_absolute() else root / path
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        parts = path.parts[-2:]
    name = "-".join(part for part in parts if part not in {"templates", "."})
    return re.sub(r"\.(pkr\.hcl|pkr\.json|json)$", "", name) or path.name


def _require_variables(template: Template) -> None:
    unset = sorted(v.name for v in template.variables.values() if not v.is_set)
    if unset:
        first = template.variables[unset[0]]
        raise UsageError(
            f"{first.location}: no value for variable {', '.join(unset)}.",
            hint=f"Give it by PKR_VAR_{unset[0]}=..., -var {unset[0]}=... or a -var-file.",
        )


def _require_host(template: Template) -> None:
    """Refuse an empty host or password: a secret that nobody set is an empty variable."""
    for source in template.sources:
        if not source.type.startswith("xenserver"):
            continue
        for name in ("remote_host", "remote_username", "remote_password"):
            value = source.attributes.get(name)
            if isinstance(value, str) and not value.strip():
                place = source.locations.get(name, source.location)
                raise UsageError(
                    f"{place}: {name} is empty: Packer could not log in to the host.",
                    hint=f"Set PKR_VAR_{name}; in a workflow: is the secret that it takes set?",
                )


def _refuse_visible_secrets(request: Request) -> None:
    for name in request.variables:
        variable = request.template.variables.get(name)
        if variable is not None and variable.sensitive:
            raise UsageError(
                f"-var {name}=... would show a secret in the list of processes.",
                hint=f"Export it as PKR_VAR_{name} instead.",
            )


def _require_keeping(request: Request) -> None:
    """The plugin keeps a failed VM only when keep_vm is "always"; it ignores -on-error."""
    if request.keep_failed_s is None:
        return
    if not _builds_on_host(request):
        raise UsageError(f"--on-error keep: {request.unit} does not build on an XCP-ng host.")
    if not _declares(request, "keep_vm"):
        raise UsageError(
            f"--on-error keep: {request.template.path} does not let its VM be kept.",
            hint='Declare variable "keep_vm" with default = "never" there, and set '
            "keep_vm = var.keep_vm in the source.",
        )


def _declares(request: Request, name: str) -> bool:
    return name in request.template.variables


def _keep_vm(request: Request) -> str:
    """What the template wants of its VM; what cannot be evaluated counts as a wish to keep."""
    value = request.source.attributes.get("keep_vm") if request.source else None
    if value is None or value in {"", "never"} or not _builds_on_host(request):
        return ""
    return value if isinstance(value, str) else "unknown"


def _builds_on_host(request: Request) -> bool:
    return request.source is not None and request.source.type.startswith("xenserver")


def _output_directory(request: Request) -> Path:
    """The run's own fresh folder, or the fixed one of a template that has no such variable."""
    if _declares(request, "output_directory"):
        return request.run_directory / "output"
    fixed = request.source.attributes.get("output_directory") if request.source else None
    if not isinstance(fixed, str) or not fixed:
        name = request.source.label if request.source else request.unit
        fixed = f"output-{name}"  # Packer's default
    folder = request.working_directory / fixed
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty: an old file there could be mistaken for this build's.",
            hint='Declare variable "output_directory" in the template (each run then gets a '
            "folder of its own), or move the old folder away.",
        )
    return folder


def _arguments(request: Request, output_directory: Path) -> tuple[str, ...]:
    arguments = [f"-only={','.join(request.only)}"] if request.only else []
    arguments += [f"-except={','.join(request.except_)}"] if request.except_ else []
    arguments += [f"-var-file={path}" for path in request.var_files]
    own = {
        "output_directory": str(output_directory),
        "run_timestamp": request.timestamp,
        "run_id": request.run_id,  # part of the VM's name, which is this run's alone then
    }
    if request.keep_failed_s is not None:
        own["keep_vm"] = "always"  # the plugin leaves it; after a good build we remove it
    chosen = {name: value for name, value in own.items() if _declares(request, name)}
    for name, value in (chosen | dict(request.variables)).items():
        if name != "output_directory" or name in chosen:
            arguments.append(f"-var={name}={chosen.get(name, value)}")
    return tuple(arguments)


def _environment(request: Request) -> dict[str, str]:
    kept = passed_on(request.environment, request.packer_environment)
    made = {
        f"PKR_VAR_{name}": value
        for name, value in request.build_secrets.items()
        if _declares(request, name)
    }
    if not made.keys().isdisjoint(kept):
        made = {}  # a password and its hash belong together: a person's stay as they are
    return {**kept, **made, "ASYNCPIPE_PYTHON": request.python}
