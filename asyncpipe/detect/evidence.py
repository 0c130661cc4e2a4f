"""Template, guest, options and names -> Evidence: what was seen where, and what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from asyncpipe.detect import names
from asyncpipe.detect.names import Reading, read_label, read_medium
from asyncpipe.detect.os_release import from_guest
from asyncpipe.detect.said import MAX_TEXT_CHARS, arch_of, of_reading, shown, slug
from asyncpipe.model.identity import Evidence, Weight
from asyncpipe.model.template import Location, Template, TemplateSource, Value
from asyncpipe.text.secrets import texts_of

__all__ = ["from_guest", "from_name", "from_options", "from_packer", "from_template"]

_MEDIA: Final = (
    "iso_url",
    "iso_urls",
    "iso_name",
    "iso_path",
    "iso_paths",
    "iso_file",
    "iso_image",
    "iso_target_path",
    "source_path",
    "source_url",
    "disk_image_url",
    "image_url",
    "source_image",
    "source_image_family",
    "source_image_name",
    "url",
    "boot_iso",
)
_BOOT_ISO_PARTS: Final = ("iso_url", "iso_urls", "iso_file", "iso_path", "iso_paths")
_PROFILES: Final = ("clone_template", "guest_os_type", "os_type")
_DECLARED_OS: Final = (
    "os_name",
    "os_distribution",
    "os_distro",
    "os",
    "distro",
    "distro_name",
    "distribution",
    "vm_guest_os_name",
)
_DECLARED_VERSION: Final = (
    "os_version",
    "os_release",
    "distro_version",
    "distro_release",
    "distribution_version",
    "vm_guest_os_version",
)
_DECLARED_CODENAME: Final = ("os_codename", "distro_codename", "distribution_codename")
_DECLARED_ARCH: Final = ("os_arch", "distro_arch", "arch", "architecture")


def from_options(os: str | None, version: str | None) -> tuple[Evidence, ...]:
    """``--os`` and ``--os-version`` as evidence; nothing when neither was given."""
    if not os and not version:
        return ()
    return (_declared(_Declared(os, version), Weight.EXPLICIT, "option", "--os"),)


def from_name(name_or_url: str) -> tuple[Evidence, ...]:
    """A medium's name or URL, as an argument of ``asyncpipe detect`` gives it."""
    kind = "iso_url" if "://" in name_or_url[:20] else "iso_name"
    return (_medium(name_or_url, kind, "argument"),)


def from_packer(url: str) -> tuple[Evidence, ...]:
    """The medium that Packer says it retrieves, whatever the template's text was."""
    reading = read_medium(url)
    return (
        (of_reading(reading, Weight.RETRIEVED, "retrieved", url, "build.log"),) if reading else ()
    )


def from_template(template: Template, source: TemplateSource | None = None) -> tuple[Evidence, ...]:
    """What the template says, of one of its sources or of all of them.

    Never from comments and never from boot commands.
    """
    sources = (source,) if source is not None else template.sources
    return (
        *_declarations(template),
        *(evidence for one in sources for evidence in _of_source(one)),
        *_labels(template, sources),
        *(evidence for one in sources for evidence in _weak(one)),
    )


def _declarations(template: Template) -> Iterator[Evidence]:
    """os_name, os_version and the like, from variables and locals."""
    found: dict[str, tuple[str, Location]] = {}
    for name, variable in template.variables.items():
        _keep(found, name, variable.value, variable.location, secret=variable.sensitive)
    hidden = {t for v in template.variables.values() if v.sensitive for t in texts_of(v.value)}
    for name, value in template.locals.items():
        secret = any(text in hidden for text in texts_of(value))
        _keep(found, name, value, template.local_locations.get(name), secret=secret)
    os = _first(found, _DECLARED_OS)
    version = _first(found, _DECLARED_VERSION)
    codename = _first(found, _DECLARED_CODENAME)
    where = os or version or codename
    if where is None or not _tells(os, version, codename):
        return
    arch = _first(found, _DECLARED_ARCH)
    declared = _Declared(*(part[0] if part else None for part in (os, version, codename, arch)))
    kind = "+".join(part[2] for part in (os, version) if part) or "codename"
    yield _declared(declared, Weight.DECLARED, kind, str(where[1]))


def _keep(
    found: dict[str, tuple[str, Location]],
    name: str,
    value: Value,
    location: Location | None,
    *,
    secret: bool,
) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value.strip() and not secret and location is not None:
        found[name.lower()] = (value.strip(), location)


def _first(
    found: Mapping[str, tuple[str, Location]], wanted: tuple[str, ...]
) -> tuple[str, Location, str] | None:
    return next(((*found[name], name) for name in wanted if name in found), None)


def _tells(*parts: tuple[str, Location, str] | None) -> bool:
    """Whether a declaration names a system: ``os = "linux"`` or ``os_version`` alone may not."""
    os, version, codename = parts
    if os is not None:
        return _known(os[0]) is not None
    if version is not None:
        return bool(re.match(r"v?\d", version[0])) or _known(version[0]) is not None
    return codename is not None and read_label(codename[0]) is not None


def _known(text: str) -> Reading | None:
    entry = names.entry_of(text[:100])
    if entry is not None:
        return Reading(os_type=entry.os_type)
    if text.strip().lower() in {"windows", "windows-server", "windows server"}:
        return Reading(os_type=text.strip().lower().replace(" ", "-"))
    return read_label(text[:MAX_TEXT_CHARS])


@dataclass(frozen=True, slots=True)
class _Declared:
    os: str | None
    version: str | None
    codename: str | None = None
    arch: str | None = None


def _declared(said: _Declared, weight: Weight, kind: str, origin: str) -> Evidence:
    known = _known(said.os) if said.os else None
    if known is None and said.codename:
        known = read_label(said.codename)
    os_type = known.os_type if known else None
    if os_type is None and said.os and weight is Weight.EXPLICIT:
        os_type = slug(said.os)  # a system that the table does not know
    if said.version and os_type:
        stated = names.version_of(os_type, said.version)
        known = stated if stated.os_version or known is None else known
    elif said.version and names.version_of("", said.version).os_version:
        known = Reading(os_type="", os_version=said.version.strip()[:60])  # whose, others say
    return Evidence(
        weight=weight,
        kind=kind,
        text=shown(" ".join(filter(None, (said.os, said.version, said.codename)))),
        origin=origin,
        os_type=(known.os_type if known else os_type) or None,
        os_version=known.os_version if known else None,
        release=known.release if known else None,
        codename=known.codename if known else None,
        arch=arch_of(said.arch),
    )


def _of_source(source: TemplateSource) -> Iterator[Evidence]:
    """The media of one source, in the order of their weight."""
    for name in _MEDIA:
        value = source.attributes.get(name)
        if name == "boot_iso":
            for block in _blocks(value):
                for part in _BOOT_ISO_PARTS:
                    where = source.locations.get(f"boot_iso.{part}", source.location)
                    yield from _media_of(block.get(part), f"boot_iso.{part}", where)
                    partial = source.partial_texts.get(f"boot_iso.{part}")
                    yield from _media_of(partial, f"boot_iso.{part}", where)
            continue
        where = source.locations.get(name, source.location)
        yield from _media_of(value, name, where)
        yield from _media_of(source.partial_texts.get(name), name, where)


def _blocks(value: Any) -> list[Mapping[str, Value]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _media_of(value: Any, kind: str, where: Location) -> Iterator[Evidence]:
    texts = value if isinstance(value, list) else [value]
    for text in texts[:20]:
        if isinstance(text, str) and text.strip():
            yield _medium(text, kind, str(where))


def _medium(text: str, kind: str, origin: str) -> Evidence:
    reading = read_medium(text.strip())
    weight = Weight.ISO_URL if reading and reading.from_path else Weight.ISO_NAME
    return of_reading(reading, weight, kind, text, origin)


def _labels(template: Template, sources: tuple[TemplateSource, ...]) -> Iterator[Evidence]:
    for source in sources:
        origin = str(source.location)
        yield _label(source.label, "source_label", origin)
        if source.build_name:
            yield _label(source.build_name, "build_name", origin)
    yield _path(template.path)


def _path(path: Path) -> Evidence:
    """The file's name, then with more and more of its folders: ``debian/13/uefi-lvm``."""
    parts = _telling_parts(path)
    texts = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
    readings = [reading for text in texts if (reading := read_label(text[:MAX_TEXT_CHARS]))]
    readings = [one for one in readings if not names.is_platform(one.os_type)]
    best = next((one for one in readings if one.os_version), readings[0] if readings else None)
    return of_reading(best, Weight.LABEL, "path", "/".join(parts), str(path))


def _telling_parts(path: Path) -> list[str]:
    """Up to three last parts; never a user's home folder, which may be called ``ubuntu``."""
    parts = [part for part in path.parts if part not in {".", "..", "/"}]
    if path.is_absolute():
        parts = parts[2:] if parts[:1] == ["home"] and len(parts) > 2 else parts[-2:]
    parts = parts[-3:] or [path.absolute().name]
    return [*parts[:-1], re.sub(r"\.(pkr\.hcl|pkr\.json|json)$", "", parts[-1])]


def _weak(source: TemplateSource) -> Iterator[Evidence]:
    for name in ("vm_name", "name_label"):
        value = source.attributes.get(name)
        text = value if isinstance(value, str) else source.partial_texts.get(name)
        if text:
            where = str(source.locations.get(name, source.location))
            yield _label(text, name, where, Weight.VM_NAME)
    for name in _PROFILES:
        value = source.attributes.get(name)
        if isinstance(value, str) and value:
            where = str(source.locations.get(name, source.location))
            yield _label(value, name, where, Weight.HARDWARE_PROFILE)


def _label(text: str, kind: str, origin: str, weight: Weight = Weight.LABEL) -> Evidence:
    return of_reading(read_label(text[:MAX_TEXT_CHARS]), weight, kind, text, origin)
