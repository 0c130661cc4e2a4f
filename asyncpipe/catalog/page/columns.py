"""An overview as compact JSON: columns instead of rows, bounded in bytes whatever it holds.

The page reads it (``assets/page.js``): per template, parallel arrays over its versions. Every text
is printable here already, and the page writes it as text, never as markup.
"""

from __future__ import annotations

import base64
import os.path
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any, Final

import msgspec

from asyncpipe.catalog.comparing import Change
from asyncpipe.catalog.page.gather import Overview, TemplateView
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.text.format import duration_text, size_text
from asyncpipe.text.safe import printable

MAX_BYTES: Final = 1_400_000  # of all JSON; with styles and script the page stays below 1.5 MB
MAX_CHANGES: Final = 150  # of packages, per template
MAX_PACKAGES: Final = 5000  # per template, while there is room
_MAX_TEXT: Final = 200
_VERSIONS_SHARE: Final = 1_330_000  # what versions may take of it, before packages
_FEWER: Final = (5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)  # versions of a template
_COMMIT_CHARS: Final = 12
# How fields of ``catalog.compare`` are written for people.
_WRITTEN: Final[Mapping[str, Callable[[str], str]]] = {
    "XVA bytes": lambda text: size_text(float(text)),
    "build seconds": lambda text: duration_text(float(text)),
    "commit": lambda text: text[:_COMMIT_CHARS],
    "template's files": lambda text: text[:_COMMIT_CHARS],
}
_SHORTER: Final = {"XVA bytes": "size", "build seconds": "build time"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def columns(overview: Overview, bills: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return what the page embeds; what did not fit is counted in it, never silently gone."""
    tables = _tables(overview.templates)
    left = MAX_BYTES - _size(tables) - 16 * len(tables)  # for "sbom"
    for view, table in zip(overview.templates, tables, strict=False):
        if view.current and view.current.folder_key in bills:
            table["sbom"] = True
        packages = _packages(view)
        cost = _size(packages)
        if packages and cost <= left:
            table["packages"] = packages
            left -= cost
    return {
        "templates": tables,
        "templates_left_out": len(overview.templates) - len(tables),
        "warnings": [printable(text, 500) for text in overview.warnings[:20]],
    }


def _tables(templates: Sequence[TemplateView]) -> list[dict[str, Any]]:
    """Write as many versions of each template as fit, at most the same number of all of them.

    Where not even one of each fits, the last templates are left out.
    """
    longest = max((len(view.versions) for view in templates), default=0)
    tables: list[dict[str, Any]] = []
    sizes: list[int] = []
    for most in (longest, *(number for number in _FEWER if number < longest)):
        tables = [_template(view, view.versions[:most]) for view in templates]
        sizes = [_size(table) for table in tables]
        if sum(sizes) <= _VERSIONS_SHARE:
            return tables
    return [
        table
        for table, total in zip(tables, accumulate(sizes), strict=True)
        if total <= _VERSIONS_SHARE
    ]


def _template(view: TemplateView, versions: Sequence[CatalogEntry]) -> dict[str, Any]:
    newest = view.current or view.versions[0]
    moments = [_epoch_s(entry.timestamp) for entry in versions]
    runs = [entry.build.run_url or "" for entry in versions]
    prefix = os.path.commonprefix(runs)  # noqa: RUF071 - of texts, and that is wanted
    return _lean(
        {
            "id": view.short_id,
            "name": _text(newest.os.pretty_name),
            "type": _text(newest.os.type),
            "version": _text(newest.os.release or newest.os.version),
            "arch": _text(newest.os.arch),
            "variant": _text(newest.variant),
            "end_of_life": _text(newest.os.end_of_life),
            "template": _text(newest.build.template),
            "count": len(view.versions),
            "current": versions.index(view.current) if view.current in versions else None,
            # newest first; each as the seconds that it is older than the one before it
            "times": [moments[0], *(a - b for a, b in pairwise(moments))],
            "sizes": [entry.xva.size_bytes for entry in versions],
            "durations": [round(entry.build.duration_s or 0) for entry in versions],
            "digests": "".join(_digest(entry) for entry in versions),
            "commits": " ".join(_word(entry.build.commit) for entry in versions),
            "files": _files(view.short_id, versions),
            "run_prefix": prefix if _is_web(prefix) else "",
            "runs": [_rest(run, prefix) for run in runs] if _is_web(prefix) else [],
            "names": _by_position(versions, view.names),
            "revoked": _by_position(versions, view.revoked),
            "expires": _ends(versions, view.ends),
            "ancestors": _by_position(versions, view.inherited),
            "outdated": _by_position(versions, view.outdated),
            "facts": _facts(view.metadata),
            "changes": _changes(view),
        }
    )


def _lean(table: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not known."""
    return {key: value for key, value in table.items() if value not in (None, "", [], {})}


def _text(text: str | None, limit: int = _MAX_TEXT) -> str | None:
    return printable(text, limit) if text else None


def _epoch_s(timestamp: str) -> int:
    return int((datetime.fromisoformat(timestamp) - _EPOCH).total_seconds())


def _digest(entry: CatalogEntry) -> str:
    """SHA-256 as 43 characters of base64; dots where the version was published without one."""
    raw = bytes.fromhex(entry.xva.sha256_hex)
    return base64.b64encode(raw).decode("ascii").rstrip("=") if raw else "." * 43


def _word(commit: str | None) -> str:
    text = (commit or "")[:_COMMIT_CHARS]
    return text if text.isalnum() and text.isascii() else "-"


def _files(short_id: str, versions: Sequence[CatalogEntry]) -> dict[int, str]:
    """Names of images that are not called like their template."""
    names = {n: entry.xva.key.rpartition("/")[2] for n, entry in enumerate(versions)}
    return {n: name for n, name in names.items() if name != f"{short_id}.xva"}


def _is_web(url: str) -> bool:
    return url.isprintable() and url.startswith(("https://", "http://"))


def _rest(url: str, prefix: str) -> str:
    """What of a CI run's address follows the common beginning; "" for what is no address."""
    return url.removeprefix(prefix) if url.isprintable() else ""


def _by_position(
    versions: Sequence[CatalogEntry], values: Mapping[str, Any]
) -> list[tuple[int, Any]]:
    found = [(n, values.get(entry.folder_key)) for n, entry in enumerate(versions)]
    return [
        (n, _text(value) or "" if isinstance(value, str) else [_text(one) for one in value])
        for n, value in found
        if value is not None
    ]


def _ends(versions: Sequence[CatalogEntry], ends: Mapping[str, str]) -> list[tuple[int, int]]:
    """When versions expire; an end that is no time has passed."""
    found = [(n, ends.get(entry.folder_key)) for n, entry in enumerate(versions)]
    return [(n, _moment_s(end)) for n, end in found if end is not None]


def _moment_s(moment_utc: str) -> int:
    try:
        return int((datetime.fromisoformat(moment_utc) - _EPOCH).total_seconds())
    except (ValueError, TypeError):
        return 0


def _facts(document: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is said of the current version beside the index."""
    if document is None:
        return {}
    guest, build, source = document["guest"], document["build"], document["build"]["source"]
    plugins = [f"{k.rpartition('/')[2]} {v}" for k, v in build["packer"]["plugins"].items()]
    return _lean(
        {
            "kernel": _text(guest["kernel"]),
            "hardening": _text(guest["hardening_profile"]),
            "agent": _text(guest["agent"]),
            "iso": _text((document["iso"] or {}).get("name")),
            "packer": _text(", ".join([build["packer"]["version"], *plugins])),
            "repository": _text(source["remote"]),
            "dirty": bool(source["dirty"]),
            "verified": [_text(check, 40) for check in document["verified"][:20]],
            "packages": len(document["packages"]) + guest["packages_cut"],
        }
    )


def _changes(view: TemplateView) -> dict[str, Any]:
    if view.difference is None or view.before is None:
        return {}
    packages = view.difference.packages
    return {
        "since": _epoch_s(view.before.timestamp),
        "fields": [_field(one) for one in view.difference.fields],
        "packages": [_change(one) for one in packages[:MAX_CHANGES]],
        "added": sum(one.before is None for one in packages),
        "removed": sum(one.after is None for one in packages),
        "changed": sum(None not in {one.before, one.after} for one in packages),
        "known": view.difference.packages_known,
    }


def _change(change: Change) -> list[str | None]:
    return [_text(change.name), _text(change.before, 100), _text(change.after, 100)]


def _field(change: Change) -> list[str | None]:
    """A change of something else than a package, as people write it."""
    write = _WRITTEN.get(change.name, str)
    before, after = (write(text) if text else None for text in (change.before, change.after))
    return _change(Change(name=_SHORTER.get(change.name, change.name), before=before, after=after))


def _packages(view: TemplateView) -> list[str]:
    """``name version`` of each package of the current version."""
    found: Iterable[Mapping[str, str]] = view.metadata["packages"] if view.metadata else ()
    texts = {printable(f"{one['name']} {one['version']}", _MAX_TEXT) for one in found}
    return sorted(texts)[:MAX_PACKAGES]


def _size(value: object) -> int:
    return len(msgspec.json.encode(value))
