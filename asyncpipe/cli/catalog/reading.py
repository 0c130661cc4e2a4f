"""What ``show``, ``diff``, ``logs`` and ``sbom`` say about published versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.catalog import Difference
from asyncpipe.cli.catalog.said import Said, table
from asyncpipe.cli.outdated.kept import Answer, kept
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import Revocation, as_document
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import counted, size_text

_MAX_LOG_BYTES: Final = 256 * 1024 * 1024
_UNKNOWN: Final = "not known"

Document: TypeAlias = Mapping[str, Any]  # metadata.json
Rows: TypeAlias = Sequence[tuple[str, object]]


async def show(store: ObjectStore, *, template: str) -> Said:
    """Everything about one version on one screen."""
    entry, document = await _version(store, template)
    named, warnings = await catalog.names_of(store, [entry.short_id])
    names = named.get(entry.folder_key, [])
    standing = await catalog.standing_of(store, entry)
    revocation = standing.revocation
    ancestor = (await catalog.revoked_ancestors(store, [entry])).get(entry.folder_key)
    answer = kept(store.url).get(entry.folder_key)
    rows = [
        ("version", f"{entry.short_id}@{entry.timestamp}"),
        ("revoked", _revoked(revocation)),
        ("expires", _expires(standing)),
        ("built from", _parent(entry, ancestor)),
        *([("updates", _updates(answer))] if answer else []),
        ("signed by", (document["provenance"] or {}).get("signer", "nobody")),
        ("named by", ", ".join(names) or "nothing"),
        *_contents(store, entry, document),
        *_origin(store, document),
    ]
    return Said(
        text=table([(name, str(value or _UNKNOWN)) for name, value in rows]),
        document={
            "version": document,
            "names": names,
            "revoked": as_document(revocation) if revocation else None,
            "expires_utc": standing.expires_utc,
            "expired": standing.is_expired,
            "revoked_ancestor": ancestor,
            "outdated": to_builtins(answer),
        },
        warnings=tuple(warnings),
    )


def _contents(store: ObjectStore, entry: CatalogEntry, document: Document) -> Rows:
    """What is in the image, and what of it was verified."""
    os, guest, xva = document["os"], document["guest"], document["files"]["xva"]
    return [
        ("system", os["pretty_name"] or os["release"] or os["version"]),
        ("architecture", os["arch"]),
        ("end of life", os["end_of_life"]),
        ("kernel", guest["kernel"]),
        ("hardening", guest["hardening_profile"]),
        ("guest agent", guest["agent"]),
        ("packages", _packages(document)),
        ("XVA", f"{store.url_of(entry.xva.key)}  {size_text(xva['size_bytes'])}"),
        ("sha256", xva["sha256_hex"]),
        *_compression(document),
        ("disk used", _used(document["xva"] or {})),
        ("verified", ", ".join(document["verified"]) or "nothing"),
        ("boot test", _boot_test(document.get("boot_test"))),
    ]


def _origin(store: ObjectStore, document: Document) -> Rows:
    """Where the image comes from."""
    build = document["build"]
    return [
        ("ISO", (document["iso"] or {}).get("name")),
        ("template", build["template"]["path"]),
        ("commit", _commit(build["source"])),
        ("built", f"{build['started_utc']}, {_minutes(build['duration_s'])}"),
        ("by", (build["ci"] or {}).get("run_url") or None),
        ("Packer", _packer(build["packer"])),
        ("log", f"{store.url_of(document['files']['log']['key'])}"),
    ]


def _updates(answer: Answer) -> str:
    return str(answer) or f"up to date on {answer.checked_utc[:10]}"


def _compression(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How it is compressed, what it holds and who imports it; nothing where it is not."""
    found = document["compression"]
    if found is None:
        return []
    level = f" level {found['level']}" if found["level"] is not None else ""
    by = found["imported_by"]
    hosts = (
        f"XCP-ng {by['xcp_ng']}, XenServer {by['xenserver']} (xapi {by['xapi']}) and later"
        if by
        else "every host"
    )
    share = f"{100 * found['ratio']:.0f} % of {size_text(found['plain_size_bytes'])}"
    return [
        ("compression", f"{found['format']}{level}, {share}"),
        ("plain sha256", found["plain_sha256_hex"]),
        ("imported by", hosts),
    ]


def _used(report: Mapping[str, Any]) -> str | None:
    virtual_bytes, used_bytes = report.get("virtual_size_bytes"), report.get("used_bytes")
    if not isinstance(virtual_bytes, int) or not isinstance(used_bytes, int):
        return None  # of a version from before this was recorded
    return f"{size_text(used_bytes)} of {size_text(virtual_bytes)}"


async def diff(store: ObjectStore, *, before: str, after: str) -> Said:
    """What changed from one version to another."""
    (old, one), (new, other) = await _version(store, before), await _version(store, after)
    found = catalog.compare(one, other)
    lines = [f"{old.short_id}@{old.timestamp} -> {new.short_id}@{new.timestamp}"]
    lines += [f"  {c.name}: {c.before or _UNKNOWN} -> {c.after or _UNKNOWN}" for c in found.fields]
    lines.append(_counts(found))
    for change in found.packages:
        match change.before, change.after:
            case None, version:
                lines.append(f"  + {change.name} {version}")
            case version, None:
                lines.append(f"  - {change.name} {version}")
            case earlier, later:
                lines.append(f"  ~ {change.name} {earlier} -> {later}")
    document = {
        "before": f"{old.short_id}@{old.timestamp}",
        "after": f"{new.short_id}@{new.timestamp}",
        "fields": [_plain(change) for change in found.fields],
        "packages": [_plain(change) for change in found.packages],
        "packages_known": found.packages_known,
    }
    return Said(text="\n".join(lines), document=document, warnings=_incomplete(found))


async def logs(store: ObjectStore, *, template: str, failed: bool) -> Said:
    """The build log of a version, or of the newest failed build of a template."""
    if failed:
        key = await _newest_failure(store, template)
    else:
        entry = await catalog.resolve(store, template, revoked=True)
        key = f"{entry.folder_key}/{store_keys.LOG_NAME}"
    body = (await store.get(key, max_bytes=_MAX_LOG_BYTES)).body
    text = body.decode("utf-8", "replace").removesuffix("\n")
    return Said(text=text, document={"key": key, "lines": text.split("\n")})


async def sbom(store: ObjectStore, *, template: str, form: str) -> Said:
    """The bill of materials: JSON for people and machines alike."""
    _, document = await _version(store, template)
    from asyncpipe import metadata

    make = {"cyclonedx": metadata.cyclonedx, "spdx": metadata.spdx}[form]
    cut = document["guest"]["packages_cut"]
    warnings = []
    if cut:
        warnings.append(f"{counted(cut, 'package')} more were not recorded at the build")
    if not document["packages"]:
        warnings.append("the guest reported no packages: the bill is empty")
    return Said(bare=make(document), warnings=tuple(warnings))


async def _version(store: ObjectStore, name: str) -> tuple[CatalogEntry, dict[str, Any]]:
    entry = await catalog.resolve(store, name, revoked=True)  # reading about it harms nobody
    document = await catalog.read_metadata(store, entry)
    if document is None:
        raise ObjectMissingError(f"There is no metadata {store.url_of(entry.metadata_key)}.")
    return entry, document


async def _newest_failure(store: ObjectStore, unit: str) -> str:
    logs = {
        found: info.key
        async for info in store.list(f"failed/{unit}/")
        if (found := store_keys.parse_failed_log(info.key))
    }
    if not logs:
        raise UsageError(
            f"No failed build of {unit} is at {store.url}.",
            hint="Name the template as the build did: its summary and failed/ have the name.",
        )
    return logs[max(logs)]


def _revoked(revocation: Revocation | None) -> str:
    if revocation is None:
        return "no"
    by = f", by {revocation.by}" if revocation.by else ""
    return f"YES: {revocation.reason} ({revocation.revoked_utc or 'no date'}{by})"


def _expires(standing: catalog.Standing) -> str:
    when = standing.expires_utc or "never"
    return f"EXPIRED: {when}" if standing.is_expired else when


def _boot_test(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "none"
    if not found["passed"]:
        return f"FAILED: {found['says']}"
    by = f"{found['how']}, {found['firmware'].upper()}"
    return f"passed ({by}), first login after {found['login_s']:.0f} s"


def _parent(entry: CatalogEntry, ancestor: str | None) -> str:
    if ancestor is None:
        return entry.parent or "no published version"
    return f"{entry.parent}" + (
        ", which is REVOKED" if ancestor == entry.parent else f", itself of REVOKED {ancestor}"
    )


def _packages(document: Mapping[str, Any]) -> str | None:
    found, cut = document["packages"], document["guest"]["packages_cut"]
    return f"{len(found) + cut}" if found else None


def _commit(source: Mapping[str, Any]) -> str | None:
    if not source["commit"]:
        return None
    changed = " with changes that are not committed" if source["dirty"] else ""
    return f"{source['commit']}{changed}  {source['remote'] or ''}".rstrip()


def _packer(packer: Mapping[str, Any]) -> str:
    plugins = [
        f"{name.rpartition('/')[2]} {version}" for name, version in packer["plugins"].items()
    ]
    return ", ".join([packer["version"], *plugins])


def _minutes(duration_s: float | None) -> str:
    return _UNKNOWN if duration_s is None else f"{duration_s / 60:.0f} min"


def _counts(found: Difference) -> str:
    added = sum(one.before is None for one in found.packages)
    removed = sum(one.after is None for one in found.packages)
    changed = len(found.packages) - added - removed
    return f"packages: {added} added, {removed} removed, {changed} changed"


def _incomplete(found: Difference) -> tuple[str, ...]:
    if found.packages_known:
        return ()
    return (
        "one of the two does not list all its packages: what is missing there shows as a change",
    )


def _plain(change: catalog.Change) -> dict[str, str | None]:
    return {"name": change.name, "before": change.before, "after": change.after}
