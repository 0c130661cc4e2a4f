"""What a Packer template says, evaluated as far as it can be without Packer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final


class Unknown(Enum):
    """A value that cannot be evaluated before the build (a data source, an unknown function)."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
Value = str | int | float | bool | None | Unknown | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a template; ``line`` counts from 1, 0 = unknown (JSON)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One input variable and the value that this run gives it."""

    name: str
    value: Value  # UNKNOWN when it cannot be evaluated; None when Packer would refuse (unset)
    sensitive: bool
    is_set: bool  # a default, a var file, -var or PKR_VAR_ gave it a value
    origin: str  # "default", "-var", "PKR_VAR_x", "prod.pkrvars.hcl"
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """One source as a build uses it: overrides of the build block applied."""

    type: str  # "xenserver-iso", "null", "qemu"
    label: str
    build_name: str | None  # name of the build block
    attributes: Mapping[str, Value]  # evaluated; what could not be is UNKNOWN
    locations: Mapping[str, Location]  # of each attribute; inside a block: "boot_iso.iso_url"
    location: Location
    # Texts that are UNKNOWN as a whole, with U+FFFC for each unknown part: for detection only.
    partial_texts: Mapping[str, str] = field(default_factory=dict)
    legacy: bool = False  # of a JSON template with builders, which have one name
    post_processors: tuple[str, ...] = ()  # of its build: their names, or types without a name

    @property
    def name(self) -> str:
        """The name Packer prints, less the build's: ``xenserver-iso.debian``, legacy ``debian``."""
        return self.label if self.legacy else f"{self.type}.{self.label}"

    @property
    def full_name(self) -> str:
        """What ``-only`` and ``-except`` match: with the build's name in front if it has one."""
        return f"{self.build_name}.{self.name}" if self.build_name else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A path or glob that a template names, whether or not anything is there."""

    text: str  # as evaluated: absolute, or relative to Packer's or the template's folder
    is_word: bool = False  # a word of a command line: a file, if one has that name; no folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A readable template: one file, or a folder whose files Packer reads together."""

    path: Path  # as given: what Packer is called with
    folder: Path  # the folder that holds it
    kind: str  # "hcl2" or "json"
    files: tuple[Path, ...]  # every file that was read, var files included, sorted
    sha256_hex: str  # over the names and bytes of ``files``
    variables: Mapping[str, Variable] = field(default_factory=dict)
    locals: Mapping[str, Value] = field(default_factory=dict)
    local_locations: Mapping[str, Location] = field(default_factory=dict)
    sources: tuple[TemplateSource, ...] = ()  # selected by only/except, in the order of the file
    required_versions: tuple[str, ...] = ()  # constraints on Packer's own version
    required_plugins: Mapping[str, str] = field(default_factory=dict)  # source -> constraint
    # Scripts, cd_files, http_directory ...: for --changed-since; folders and all files in them.
    referenced_files: tuple[Path, ...] = ()
    references: tuple[Reference, ...] = ()  # the same as named: what is gone is still named
    warnings: tuple[str, ...] = ()
