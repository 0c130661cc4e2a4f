"""What differs between two published versions, from their metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# What is compared beside the packages: its name, and where it is in metadata.json.
_FIELDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("system", ("os", "short_id")),
    ("release", ("os", "release")),
    ("architecture", ("os", "arch")),
    ("kernel", ("guest", "kernel")),
    ("hardening", ("guest", "hardening_profile")),
    ("guest agent", ("guest", "agent")),
    ("ISO", ("iso", "name")),
    ("XVA bytes", ("files", "xva", "size_bytes")),
    ("compression", ("compression", "format")),
    ("build seconds", ("build", "duration_s")),
    ("repository", ("build", "source", "remote")),
    ("commit", ("build", "source", "commit")),
    ("template", ("build", "template", "path")),
    ("template's files", ("build", "template", "sha256_hex")),
    ("Packer", ("build", "packer", "version")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing in the older and in the newer version; None: not there, or not known."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changed from one version to another, sorted by name."""

    fields: tuple[Change, ...]
    packages: tuple[Change, ...]
    packages_known: bool  # both versions list theirs, whole


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """Compare two documents of `model.documents.metadata`."""
    changed = [
        Change(name=name, before=_text(before, path), after=_text(after, path))
        for name, path in _FIELDS
    ]
    changed += [
        Change(name=name, before=_content(before, key), after=_content(after, key))
        for name, key in (("content bytes", "size_bytes"), ("content SHA-256", "sha256_hex"))
    ]
    old, new = _packages(before), _packages(after)
    packages = (
        Change(name=name, before=old.get(name), after=new.get(name)) for name in {*old, *new}
    )
    return Difference(
        fields=tuple(one for one in changed if one.before != one.after),
        packages=tuple(
            sorted((one for one in packages if one.before != one.after), key=lambda c: c.name)
        ),
        packages_known=all(
            document["packages"] and not document["guest"]["packages_cut"]
            for document in (before, after)
        ),
    )


def _text(document: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if found is None else str(found)


def _content(document: Mapping[str, Any], key: str) -> str | None:
    """Of the archive, decompressed: the same for two forms of one image."""
    plain = _text(document, ("compression", f"plain_{key}"))
    return _text(document, ("files", "xva", key)) if plain is None else plain


def _packages(document: Mapping[str, Any]) -> dict[str, str]:
    """Versions by name; a name that is installed for two architectures carries them."""
    versions: dict[tuple[str, str], list[str]] = {}
    for one in document["packages"]:
        versions.setdefault((one["name"], one["arch"]), []).append(one["version"])
    arches: dict[str, int] = {}
    for name, _ in versions:
        arches[name] = arches.get(name, 0) + 1
    return {
        f"{name}:{arch}" if arches[name] > 1 else name: ", ".join(sorted(found))
        for (name, arch), found in versions.items()
    }
