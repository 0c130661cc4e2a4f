"""The keys of a destination, relative to its prefix: how they are built and recognised.

templates/{place}/{timestamp}/{place}.xva, metadata.json, build.log
templates/{place}/{timestamp}/provenance.dsse.json, provenance.sigstore.json    if it is signed
templates/{place}/{timestamp}/claim.json    while a run builds this version (run/claim.py)
templates/{place}/latest.json
templates/{place}/channels/{name}.json
templates/{place}/history/{channel}/{timestamp}-{token}.json    each change of a channel
templates/{place}/place.json    which template fills it (catalog/place.py)
templates/{place}/index/{number}.json    some versions of the place
templates/index.json    the keys of those
streams/v1/index.json, com.asyncpipe.{place}.json    the simplestreams view (catalog/streams.py)
index.html    the page of the catalogue, where it is asked for (catalog/page/)
revoked/{place}/{timestamp}.json    why a version must not be used
expiry/{place}/{timestamp}.json    when it stops being good, where that was changed
failed/{unit}/{timestamp}/metadata.json, build.log; of a run that failed again metadata-2.json ...
.asyncpipe-probe/{random}    while a destination is asked what it honours
.asyncpipe-uploads/          in a folder: what is not published yet

A place is ``debian12`` or, for a variant of it, ``debian12-web`` (``place_name``). It is never
taken apart again: ``nixos-24.05`` has a dash and no variant.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from asyncpipe.errors import UsageError

METADATA_NAME: Final = "metadata.json"
CLAIM_NAME: Final = "claim.json"  # of a run at work (run/claim.py)
LOG_NAME: Final = "build.log"
SBOM_NAME: Final = "sbom.cdx.json"  # of versions that the page links to
PROVENANCE_NAME: Final = "provenance.dsse.json"  # signed with a key
KEYLESS_NAME: Final = "provenance.sigstore.json"  # signed by an identity
INDEX_KEY: Final = "templates/index.json"
STREAMS_KEY: Final = "streams/v1/index.json"
PAGE_KEY: Final = "index.html"  # beside templates/, so that its links are relative
ROOTS: Final = ("templates/", "failed/")  # every key that is published begins with one of them
REVOKED_ROOT: Final = "revoked/"
EXPIRY_ROOT: Final = "expiry/"
PROBE_ROOT: Final = ".asyncpipe-probe/"
WORK_FOLDER: Final = ".asyncpipe-uploads"  # where the directory store keeps what is not published

VARIANT_RULE: Final = "at most 40 of a-z, 0-9 and, in between, dots, dashes and underscores"

_MAX_NAME_CHARS = 100
_VARIANT_ONLY = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
_MAX_KEY_BYTES = 1024  # S3 user guide: "object key names"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,99}"
_NAME_ONLY = re.compile(_NAME)
_TIMESTAMP = r"[0-9]{8}T[0-9]{6}Z"  # \d takes other digits than ASCII ones
_TIMESTAMP_ONLY = re.compile(_TIMESTAMP)
_FOLDER = re.compile(rf"(templates|failed)/({_NAME})/({_TIMESTAMP})")
_VERSION_KEY = re.compile(rf"templates/{_NAME}/{_TIMESTAMP}/{_NAME}")
_LATEST = re.compile(rf"templates/({_NAME})/latest\.json")
_CHANNEL = re.compile(rf"templates/({_NAME})/channels/({_NAME})\.json")
_SEGMENT = re.compile(rf"templates/({_NAME})/index/([0-9]{{6}})\.json")
_FAILED_LOG = re.compile(rf"failed/{_NAME}/({_TIMESTAMP})/build(?:-([0-9]{{1,9}}))?\.log")
_COMMIT_MARK = re.compile(r"metadata(?:-[0-9]{1,9})?\.json")
_MARK = re.compile(rf"(?:revoked|expiry)/({_NAME})/({_TIMESTAMP})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionKey:
    """An object in a folder of ours, recognised by the shape of its key."""

    root: str  # "templates" or "failed"
    owner: str  # short id, or unit for "failed"
    timestamp: str
    name: str  # file name within the folder

    @property
    def folder_key(self) -> str:
        """``templates/debian12/20261123T170000Z``."""
        return f"{self.root}/{self.owner}/{self.timestamp}"


def is_name(text: str) -> bool:
    """Whether ``text`` may be a short id, a unit or a channel in a key."""
    return _NAME_ONLY.fullmatch(text) is not None


def is_variant(text: str) -> bool:
    """Whether ``text`` may be a variant: what ``VARIANT_RULE`` says."""
    return _VARIANT_ONLY.fullmatch(text) is not None


def place_name(system: str, variant: str = "") -> str:
    """``debian12``, ``debian12-web``: the one name of a place, of its folder and of its XVAs."""
    if not variant:
        return system[:_MAX_NAME_CHARS]
    return f"{system[: _MAX_NAME_CHARS - len(variant) - 1]}-{variant}"


def is_timestamp(text: str) -> bool:
    """Whether ``text`` looks like ``20261123T170000Z``."""
    return _TIMESTAMP_ONLY.fullmatch(text) is not None


def is_folder(key: str) -> bool:
    """Whether ``key`` names exactly the folder of one version (no ``..``)."""
    return _FOLDER.fullmatch(key) is not None


def is_version_key(key: str) -> bool:
    """Whether ``key`` names an object right in the folder of a published version."""
    return _VERSION_KEY.fullmatch(key) is not None


def folder_key(short_id: str, timestamp: str) -> str:
    """The folder of one published version."""
    return f"templates/{short_id}/{timestamp}"


def failed_folder_key(unit: str, timestamp: str) -> str:
    """The folder of a failed build's log."""
    return f"failed/{unit}/{timestamp}"


def attempt_name(name: str, attempt: int) -> str:
    """The name of a failed attempt's file: ``build.log``, of the second attempt ``build-2.log``."""
    stem, dot, suffix = name.rpartition(".")
    return name if attempt == 1 else f"{stem}-{attempt}{dot}{suffix}"


def is_whole(names: Collection[str]) -> bool:
    """Whether the files of a folder have the commit mark, metadata.json, among them."""
    return any(_COMMIT_MARK.fullmatch(name) for name in names)


def parse_failed_log(key: str) -> tuple[str, int] | None:
    """Recognise the log of a failed build: (timestamp, attempt)."""
    matched = _FAILED_LOG.fullmatch(key)
    return (matched[1], int(matched[2] or 1)) if matched else None


def xva_key(short_id: str, timestamp: str) -> str:
    """The XVA of one published version."""
    return f"{folder_key(short_id, timestamp)}/{short_id}.xva"


def latest_key(short_id: str) -> str:
    """The pointer to the newest version."""
    return f"templates/{short_id}/latest.json"


def products_key(short_id: str) -> str:
    """The simplestreams products of one template."""
    return f"streams/v1/com.asyncpipe.{short_id}.json"


def place_key(short_id: str) -> str:
    """The document that says which template fills a place."""
    return f"templates/{short_id}/place.json"


def channel_key(short_id: str, channel: str) -> str:
    """The pointer of a channel."""
    return f"templates/{short_id}/channels/{channel}.json"


def segment_key(short_id: str, number: int) -> str:
    """Some versions of a place, listed."""
    return f"templates/{short_id}/index/{number:06}.json"


def parse_segment_key(key: str) -> tuple[str, int] | None:
    """Recognise a segment of the index: (short id, number)."""
    matched = _SEGMENT.fullmatch(key)
    return (matched[1], int(matched[2])) if matched else None


def revoked_key(short_id: str, timestamp: str) -> str:
    """The mark of a version that was taken back."""
    return f"{REVOKED_ROOT}{short_id}/{timestamp}.json"


def expiry_key(short_id: str, timestamp: str) -> str:
    """The end of a version, where somebody changed it."""
    return f"{EXPIRY_ROOT}{short_id}/{timestamp}.json"


def parse_mark_key(key: str) -> tuple[str, str] | None:
    """Recognise one of these two: (short id, timestamp)."""
    matched = _MARK.fullmatch(key)
    return (matched[1], matched[2]) if matched else None


def history_key(short_id: str, channel: str, timestamp: str, token: str) -> str:
    """One change of a channel."""
    return f"templates/{short_id}/history/{channel}/{timestamp}-{token}.json"


def require_name(text: str) -> None:
    """Raise UsageError for what cannot name a channel."""
    if not is_name(text):
        raise UsageError(f"{text!r} cannot name a channel.", hint="Use letters, digits, . _ -")


def parse_version_key(key: str) -> VersionKey | None:
    """Recognise an object of a version or of a failed build; None when it is not ours."""
    folder, _, name = key.rpartition("/")
    matched = _FOLDER.fullmatch(folder)
    if matched is None or not is_name(name):
        return None
    root, owner, timestamp = matched.groups()
    return VersionKey(root=root, owner=owner, timestamp=timestamp, name=name)


def parse_channel_key(key: str) -> tuple[str, str] | None:
    """Recognise a channel's pointer: (short id, channel)."""
    matched = _CHANNEL.fullmatch(key)
    return (matched[1], matched[2]) if matched else None


def parse_pointer_key(key: str) -> str | None:
    """Recognise ``latest.json`` or a channel; returns its short id."""
    matched = _LATEST.fullmatch(key) or _CHANNEL.fullmatch(key)
    return matched[1] if matched else None


def checked_key(key: str) -> str:
    """Return ``key`` when it names one object below the prefix; UsageError otherwise.

    Safe on every store: no empty, dot or hidden-work segment, no control character.
    """
    segments = key.split("/")
    bad = (
        not key.isprintable()
        or any(segment in {"", ".", ".."} for segment in segments)
        or segments[0] == WORK_FOLDER
        or len(key.encode()) > _MAX_KEY_BYTES
    )
    if bad:
        raise UsageError(f"{key[:100]!r} is not a key that an object can have.")
    return key
