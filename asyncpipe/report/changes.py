"""What is different between two published versions, from their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The difference; ``packages_known``: both versions list their packages."""

    size_change_bytes: int | None = None
    packages_known: bool = False
    added: tuple[str, ...] = ()  # "nginx 1.22.1"
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # "openssl 3.0.15 -> 3.0.16"


def changes(now: Mapping[str, object], before: Mapping[str, object] | None) -> Changes | None:
    """Compare two metadata documents; None without an earlier one.

    Reads ``files.xva.size_bytes`` and ``packages`` (objects with ``name``, ``version``,
    ``arch``) and nothing else; what is missing or of another shape counts as unknown, for the
    document before may be of any age.
    """
    if before is None:
        return None
    new_bytes, old_bytes = _xva_bytes(now), _xva_bytes(before)
    new, old = _packages(now), _packages(before)
    return Changes(
        size_change_bytes=None if new_bytes is None or old_bytes is None else new_bytes - old_bytes,
        packages_known=bool(new and old),
        **(_package_changes(new, old) if new and old else {}),
    )


def _package_changes(
    new: Mapping[tuple[str, str], str], old: Mapping[tuple[str, str], str]
) -> dict[str, tuple[str, ...]]:
    both = sorted(new.keys() & old.keys())
    return {
        "added": tuple(f"{key[0]} {new[key]}" for key in sorted(new.keys() - old.keys())),
        "removed": tuple(f"{key[0]} {old[key]}" for key in sorted(old.keys() - new.keys())),
        "changed": tuple(
            f"{key[0]} {old[key]} -> {new[key]}" for key in both if old[key] != new[key]
        ),
    }


def _packages(document: Mapping[str, object]) -> dict[tuple[str, str], str]:
    """(name, architecture) -> version; several versions at once (kernels) are joined."""
    listed = document.get("packages")
    found: dict[tuple[str, str], list[str]] = {}
    for entry in listed if isinstance(listed, list | tuple) else ():
        if isinstance(entry, Mapping) and entry.get("name"):
            key = (str(entry["name"]), str(entry.get("arch") or ""))
            found.setdefault(key, []).append(str(entry.get("version") or "?"))
    return {key: ", ".join(sorted(versions)) for key, versions in found.items()}


def _xva_bytes(document: Mapping[str, object]) -> int | None:
    value: object = document
    for key in ("files", "xva", "size_bytes"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
