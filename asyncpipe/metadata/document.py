"""Everything known about one template -> ``metadata.json`` (schemas/metadata-1.schema.json).

``draft`` before the files are sent, then ``complete`` or ``failed``, then ``encoding.encode``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import PurePath
from typing import Final

from asyncpipe.metadata.clean import MAX_ITEMS, cleaned, known_from, secrets_of, without_whole
from asyncpipe.metadata.iso import iso_of, public_url
from asyncpipe.metadata.private import private_values, without_host
from asyncpipe.model.build import BuildExit, BuildPlan, BuiltFrom, HostObjects
from asyncpipe.model.clean_up import CleanUp, HostOutcome
from asyncpipe.model.identity import GuestFacts, OsIdentity
from asyncpipe.model.log import SealedLog
from asyncpipe.model.run import CiFacts, FileEntry, RunFacts
from asyncpipe.model.template import Template, Unknown
from asyncpipe.model.transfer import Compressed
from asyncpipe.model.xva import IMPORTERS, Compression
from asyncpipe.text.format import moment_of, utc_text
from asyncpipe.text.safe import printable
from asyncpipe.text.secrets import NO_SECRETS, Secrets, is_secret_name

SCHEMA_VERSION: Final = 1

Document = dict[str, object]
_PRIVATE: Final = "remote_"  # the host's address and who logs in there
# set by every run: no news
_OURS: Final = frozenset({"output_directory", "run_timestamp", "run_id"})


def draft(
    *,
    plan: BuildPlan,
    build_exit: BuildExit | None,
    identity: OsIdentity,
    guest: GuestFacts,
    facts: RunFacts,
    host: HostOutcome | None = None,
    made: HostObjects | None = None,
    known: Secrets = NO_SECRETS,
) -> Document:
    """Say all that is known before the files are sent; ``build_exit`` None = Packer never ran.

    ``known`` holds the secrets of the run; those of its template are masked in any case.
    """
    document: Document = {
        "schema_version": SCHEMA_VERSION,
        "status": "draft",
        "unit": plan.unit,
        "run_id": facts.run_id,
        "timestamp": plan.timestamp,
        "variant": plan.variant or None,
        "expires_utc": _expires_utc(plan),
        "os": _os(identity),
        "build": {**_build(plan, build_exit, facts), **_materials(plan.built_from)},
        "guest": _guest(guest),
        "packages": [
            {"name": p.name, "version": p.version, "arch": p.arch}
            for p in guest.packages[:MAX_ITEMS]
        ],
        "iso": iso_of(plan.template, made),
        "host": _host(host, plan.template) if host else None,
        "parent": asdict(parent) if (parent := plan.built_from.parent) else None,
        "files": {},
        "xva": None,
        "log": None,
        "boot_test": None,
        "verified": [],
        "failure": None,
    }
    return cleaned(document, known.joined(known_from(plan.template)))


def complete(
    document: Mapping[str, object],
    *,
    xva: FileEntry,
    log: FileEntry,
    sealed: SealedLog,
    xva_report: Mapping[str, object] | None,
    checks: Sequence[str],
    signature: tuple[str, str] | None = None,
    known: Secrets = NO_SECRETS,
) -> Document:
    """Add what is known once XVA and log are at the store; ``checks``: what was verified.

    ``signature``: the key of the signed statement, and who signs it.
    """
    added: Document = {
        "status": "published",
        "files": {"xva": _file(xva), "log": _file(log)},
        "log": _log(sealed),
        "xva": xva_report,
        "verified": sorted(set(checks)),
        "provenance": {"key": signature[0], "signer": signature[1]} if signature else None,
        "compression": _compression(xva.compressed, xva.digests.size_bytes)
        if xva.compressed
        else None,
    }
    return {**document, **cleaned(added, known)}


def failed(
    document: Mapping[str, object],
    *,
    error: str,
    exit_code: int,
    sealed: SealedLog | None,
    xva_report: Mapping[str, object] | None,
    template: Template,
    known: Secrets = NO_SECRETS,
) -> Document:
    """Add how it failed; what is published then is the log and this."""
    added: Document = {
        "status": "failed",
        "failure": {"error": without_host(error, template), "exit_code": exit_code},
        "log": _log(sealed) if sealed else None,
        "xva": xva_report,
    }
    return {**document, **cleaned(added, known)}


def with_boot_test(
    document: Mapping[str, object], found: Mapping[str, object] | None, *, known: Secrets
) -> Document:
    """Add what a boot test found, None: there was none."""
    return {**document, **cleaned({"boot_test": found}, known)}


def _expires_utc(plan: BuildPlan) -> str | None:
    begun = moment_of(plan.timestamp)
    if plan.expires_s is None or begun is None:
        return None
    return utc_text(begun + timedelta(seconds=plan.expires_s))


def _os(identity: OsIdentity) -> Document:
    return {
        "type": identity.os_type,
        "version": identity.os_version,
        "short_id": identity.short_id,
        "release": identity.release,
        "codename": identity.codename,
        "arch": identity.arch,
        "pretty_name": identity.pretty_name,
        "confidence": round(identity.confidence, 3),
        "end_of_life": identity.end_of_life,
        "evidence": [
            {
                "kind": e.kind,
                "weight": int(e.weight),
                "text": printable(_without_path(e.text), 300),
                "origin": e.origin,
                "type": e.os_type,
                "version": e.os_version,
                "release": e.release,
            }
            for e in identity.evidence[:100]
        ],
        "conflicts": [
            {
                "field": c.field,
                "chosen": c.chosen,
                "other": c.other,
                "chosen_origin": c.chosen_origin,
                "other_origin": c.other_origin,
                "series": c.series,
            }
            for c in identity.conflicts[:100]
        ],
    }


def _without_path(text: str) -> str:
    """The name alone where a medium on this machine is the evidence."""
    return public_url(text) or text if text.startswith(("file:", "/")) else text


def _build(plan: BuildPlan, build_exit: BuildExit | None, facts: RunFacts) -> Document:
    ended = build_exit
    return {
        "template": {
            "path": _relative(plan.template.path, plan.working_directory),
            "kind": plan.template.kind,
            "sha256_hex": plan.template.sha256_hex,
        },
        "source": {
            "commit": facts.git_commit,
            "dirty": facts.git_dirty,
            "remote": facts.git_remote,
        },
        "packer": {
            "version": plan.packer_version,
            "plugins": dict(ended.plugin_versions) if ended else {},
        },
        "tool": {"name": "asyncpipe", "version": facts.tool_version},
        "ci": _ci(facts.ci) if facts.ci else None,
        "variables": _variables(plan.template),
        "return_code": ended.return_code if ended else None,
        "started_utc": ended.started_utc if ended else None,
        "ended_utc": ended.ended_utc if ended else None,
        "duration_s": round(ended.duration_s, 3) if ended else None,
        "phases": [
            {
                "phase": span.phase.value,
                "started_utc": span.started_utc,
                "duration_s": round(span.duration_s, 3),
            }
            for span in (ended.phases if ended else ())
        ],
        "errors": [without_host(text, plan.template) for text in ended.errors[:50]]
        if ended
        else [],
    }


def _materials(built_from: BuiltFrom) -> Document:
    files = [asdict(file) for file in built_from.materials]
    return {"materials": files, "materials_cut": built_from.materials_cut}


def _ci(ci: CiFacts) -> Document:
    names = ("provider", "run_url", "workflow", "workflow_ref", "job", "event", "ref", "actor")
    return {name: getattr(ci, name) for name in (*names, "runner")}


def _variables(template: Template) -> Document:
    """Non-secret variables and their values; an unknown value is null."""
    secrets, private = secrets_of(template), private_values(template)
    return {
        name: None
        if isinstance(variable.value, Unknown)
        else without_whole(variable.value, secrets)
        for name, variable in sorted(template.variables.items())
        if variable.is_set
        and name not in _OURS
        and not name.startswith(_PRIVATE)
        and not (isinstance(variable.value, str) and variable.value in private)
        and not variable.sensitive
        and not is_secret_name(name)
    }


def _host(host: HostOutcome, template: Template) -> Document | None:
    """What became of the VM; None where nothing was made at a host."""
    if host.clean_up is CleanUp.NOTHING_MADE:
        return None
    return {
        "vm_uuid": host.vm_uuid or None,
        "clean_up": host.clean_up,
        "asked": host.asked,
        "why": without_host(host.why, template),
        "remaining": [
            {
                "kind": left.kind,
                "uuid": left.uuid,
                "name": left.name,
                "reason": without_host(left.reason, template),
            }
            for left in host.remaining[:MAX_ITEMS]
        ],
    }


def _guest(guest: GuestFacts) -> Document:
    return {
        "reported": guest.marked,
        "complete": guest.complete,
        "kernel": guest.kernel,
        "arch": guest.arch,
        "hardening_profile": guest.hardening_profile,
        "agent": guest.agent,
        "packages_cut": max(0, len(guest.packages) - MAX_ITEMS),
    }


def _file(entry: FileEntry) -> Document:
    return {
        "key": entry.key,
        "size_bytes": entry.digests.size_bytes,
        "sha256_hex": entry.digests.sha256_hex,
        "crc64nvme_base64": entry.digests.crc64nvme_base64,
    }


def _compression(compressed: Compressed, stored_bytes: int) -> Document:
    importers = IMPORTERS.get(Compression(compressed.format))
    return {
        **{name: getattr(compressed, name) for name in ("format", "level", "compressor")},
        "plain_size_bytes": compressed.plain_size_bytes,
        "plain_sha256_hex": compressed.plain_sha256_hex,
        "ratio": round(stored_bytes / max(1, compressed.plain_size_bytes), 4),
        "imported_by": asdict(importers) if importers else None,
    }


def _log(sealed: SealedLog) -> Document:
    return {
        "lines": sealed.line_count,
        "redactions": sealed.redaction_count,
        "complete": sealed.complete,
        "problem": sealed.problem,
        "size_bytes": sealed.size_bytes,
        "sha256_hex": sealed.sha256_hex,
    }


def _relative(path: PurePath, folder: PurePath) -> str:
    """``path`` as seen from Packer's folder; never a path of the machine."""
    if not path.is_absolute():
        return path.as_posix()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
