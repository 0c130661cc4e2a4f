"""``metadata.json`` -> an in-toto statement with SLSA provenance, and what it says of a version.

Formats: in-toto/attestation spec/v1/statement.md and resource_descriptor.md;
slsa.dev/spec/v1.0/provenance. docs/signatures.md says what our build type's parameters mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from asyncpipe.errors import SignatureError
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.model.documents.metadata import Build, PublishedMetadata
from asyncpipe.model.store_keys import METADATA_NAME

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:asyncpipe:build-type:packer-1"
_LOCAL_BUILDER: Final = "urn:asyncpipe:builder:local"

Descriptor = dict[str, Any]


class _Subject(Struct, frozen=True, kw_only=True):
    digest: dict[str, str]
    name: Annotated[str, Meta(max_length=1024)] = ""


class _Statement(Struct, frozen=True, kw_only=True):
    type_: str = msgspec.field(name="_type")
    subject: Annotated[list[_Subject], Meta(max_length=1000)]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: dict[str, Any]


def statement_of(metadata: bytes) -> bytes:
    """State where the version of ``metadata`` (the bytes of metadata.json) comes from.

    Its subjects, by their keys, are the XVA and metadata.json itself; the log is a by-product.

    Raises:
        SignatureError: the version was published without a SHA-256, which a signature needs.
    """
    document = fields.decode(metadata, PublishedMetadata)
    xva, log = document.files.xva, document.files.log
    if not (xva.sha256_hex and log.sha256_hex):
        raise SignatureError(
            "The version cannot be signed: it has no SHA-256.",
            hint="Publish it with SHA-256, which is the default.",
        )
    folder = xva.key.rpartition("/")[0]
    statement = _Statement(
        type_=STATEMENT_TYPE,
        subject=[
            _Subject(name=xva.key, digest={"sha256": xva.sha256_hex}),
            _Subject(
                name=f"{folder}/{METADATA_NAME}",
                digest={"sha256": hashlib.sha256(metadata).hexdigest()},
            ),
        ],
        predicate_type=PREDICATE_TYPE,
        predicate={
            "buildDefinition": _definition(document),
            "runDetails": _details(document),
        },
    )
    return msgspec.json.encode(statement, order="sorted")


def digests_in(statement: bytes) -> Mapping[str, str]:
    """Return the SHA-256 of each subject, by its name.

    Raises:
        SignatureError: it is not a statement about provenance.
    """
    try:
        read = fields.read(statement, _Statement)
    except UnreadableError as error:
        raise SignatureError(f"The statement cannot be read: {error.message}") from error
    for name, found, wanted in (
        ("type", read.type_, STATEMENT_TYPE),
        ("predicate's type", read.predicate_type, PREDICATE_TYPE),
    ):
        if found != wanted:
            raise SignatureError(f"The statement is wrong: its {name} is not {wanted}.")
    return {one.name: one.digest.get("sha256", "") for one in read.subject}


def _definition(document: PublishedMetadata) -> dict[str, Any]:
    build = document.build
    outside = {
        "template": build.template.path,
        "unit": document.unit,
        "variables": build.variables,
        "variant": document.variant,
    }
    inside = {"runner": build.ci.runner if build.ci else None, "timestamp": document.timestamp}
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": _present(outside),
        "internalParameters": _present(inside),
        "resolvedDependencies": [*_materials(document)],
    }


def _materials(document: PublishedMetadata) -> Iterator[Descriptor]:
    """What went into the build; what has neither a digest nor an address is left out."""
    build = document.build
    if build.source.commit:
        repository = build.source.remote or ""
        yield _present(
            {
                "name": "source",
                "uri": f"git+{repository}" if "://" in repository else None,
                "digest": {"gitCommit": build.source.commit},
                "annotations": {"dirty": build.source.dirty},
            }
        )
    if build.template.sha256_hex:
        # our own digest over several files, so it does not go by the name of sha256
        digest = {"asyncpipeTemplate": build.template.sha256_hex}
        yield {"name": build.template.path, "digest": digest}
    for file in build.materials:
        if file.sha256_hex:
            yield {"name": file.path, "digest": {"sha256": file.sha256_hex}}
    yield from _medium(document)
    yield from _programs(build)
    if document.parent:
        yield _present(
            {
                "name": document.parent.version,
                "uri": f"urn:asyncpipe:version:{document.parent.version}",
                "digest": _sha256(document.parent.sha256_hex),
            }
        )


def _medium(document: PublishedMetadata) -> Iterator[Descriptor]:
    """The ISO, by the bytes that Packer retrieved, else by what the template demands of it."""
    iso = document.iso
    if iso is None:
        return
    digest = _sha256(iso.sha256_hex) or _demanded(iso.checksum)
    address = iso.url if iso.url and "://" in iso.url else None
    if digest or address:
        yield _present({"name": iso.name or "iso", "uri": address, "digest": digest})


def _demanded(checksum: str | None) -> dict[str, str] | None:
    """``sha256:...`` as a template writes it; other algorithms by their own names."""
    name, colon, value = (checksum or "").lower().partition(":")
    if not colon:
        name, value = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}.get(len(name), ""), name
    return {name: value} if name and value else None


def _programs(build: Build) -> Iterator[Descriptor]:
    if build.packer.version:
        yield {"name": "packer", "uri": _purl("packer", build.packer.version)}
    for name, version in sorted(build.packer.plugins.items()):
        yield {"name": name, "uri": _purl(name, version)}


def _purl(name: str, version: str) -> str:
    """A package URL of the generic type (package-url/purl-spec)."""
    return f"pkg:generic/{quote(name, safe='/')}@{quote(version, safe='')}"


def _details(document: PublishedMetadata) -> dict[str, Any]:
    build, log = document.build, document.files.log
    ci = build.ci
    times = {
        "invocationId": (ci.run_url if ci else "") or document.run_id,
        "startedOn": build.started_utc,
        "finishedOn": build.ended_utc,
    }
    return {
        "builder": {"id": _builder(build), "version": {"asyncpipe": build.tool.version}},
        "metadata": _present(times),
        "byproducts": [{"name": log.key, "digest": {"sha256": log.sha256_hex}}],
    }


def _builder(build: Build) -> str:
    """The workflow that built it; of a build by hand all we know is that it was one."""
    ci = build.ci
    if ci is None or not ci.workflow_ref:
        return _LOCAL_BUILDER
    server = "/".join(ci.run_url.split("/")[:3]) if "://" in ci.run_url else "https://github.com"
    return f"{server}/{ci.workflow_ref}"


def _sha256(digest_hex: str | None) -> dict[str, str] | None:
    return {"sha256": digest_hex} if digest_hex else None


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is known: an in-toto reader takes an absent field for unknown."""
    return {name: value for name, value in values.items() if value not in (None, "")}
