"""Other people's readers of in-toto, DSSE and SLSA take what we write, and check its signature."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import jsonschema
import pytest
import sigstore.dsse
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import SSlibKey

from asyncpipe import metadata
from asyncpipe.errors import SignatureError
from asyncpipe.provenance.envelope import pae, sealed
from asyncpipe.provenance.keys import SigningKey, read_public_key, read_signing_key
from asyncpipe.provenance.statement import digests_in, statement_of
from tests.metadata import documents as make
from tests.provenance.signed import BUILT_FROM, PARENT

KEY = SigningKey.new()
FOLDER = "templates/debian12/20261123T170000Z"

# The rules of in-toto/attestation spec/v1 (statement.md, digest_set.md, resource_descriptor.md)
# and slsa.dev/spec/v1.0/provenance, in our words.
DIGEST = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]+$"},
}
DESCRIPTOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uri": {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:"},
        "digest": DIGEST,
        "annotations": {"type": "object"},
    },
    "additionalProperties": False,
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}],
}
MOMENT = {"type": "string", "pattern": "^[0-9-]{10}T[0-9:.]+Z$"}
SCHEMA = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "subject": {
            "type": "array",
            "minItems": 1,
            "items": {**DESCRIPTOR, "required": ["name", "digest"]},
        },
        "predicate": {
            "type": "object",
            "required": ["buildDefinition", "runDetails"],
            "additionalProperties": False,
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "required": ["buildType", "externalParameters"],
                    "additionalProperties": False,
                    "properties": {
                        "buildType": {"type": "string", "pattern": "^[a-z]+:"},
                        "externalParameters": {"type": "object", "minProperties": 1},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": DESCRIPTOR},
                    },
                },
                "runDetails": {
                    "type": "object",
                    "required": ["builder"],
                    "additionalProperties": False,
                    "properties": {
                        "builder": {
                            "type": "object",
                            "required": ["id"],
                            "properties": {"id": {"type": "string", "pattern": "^[a-z]+:"}},
                        },
                        "metadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "invocationId": {"type": "string"},
                                "startedOn": MOMENT,
                                "finishedOn": MOMENT,
                            },
                        },
                        "byproducts": {"type": "array", "items": DESCRIPTOR},
                    },
                },
            },
        },
    },
}


def encoded(**changes: Any) -> bytes:
    return metadata.encode(make.published(built_from=BUILT_FROM, **changes))


def test_in_totos_own_library_reads_the_statement_and_its_provenance() -> None:
    document = json.loads(statement_of(encoded()))
    jsonschema.validate(document, SCHEMA)

    read = json_format.ParseDict(document, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    provenance = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
    assert provenance.build_definition.build_type.startswith("urn:asyncpipe:")
    assert provenance.run_details.metadata.invocation_id.endswith("/actions/runs/1")
    sigstore.dsse.Statement(statement_of(encoded()))  # as sigstore signs it


def test_the_statement_says_what_went_into_the_version_and_what_came_out() -> None:
    body = encoded()
    document = json.loads(statement_of(body))
    assert {one["name"]: one["digest"]["sha256"] for one in document["subject"]} == {
        f"{FOLDER}/debian12.xva": hashlib.sha256(b"xva").hexdigest(),
        f"{FOLDER}/metadata.json": hashlib.sha256(body).hexdigest(),
    }
    definition = document["predicate"]["buildDefinition"]
    named = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert named["source"] == {
        "name": "source",
        "uri": "git+https://github.com/example/templates",
        "digest": {"gitCommit": make.FACTS.git_commit},
        "annotations": {"dirty": False},
    }
    assert named["provisioning/clean.sh"]["digest"] == {"sha256": "12" * 32}
    assert "http/huge.img" not in named  # nobody read it, so nothing is claimed
    assert named["debian-12.11.0-amd64-netinst.iso"]["digest"] == {"sha256": "abc"}
    assert named["packer"]["uri"] == "pkg:generic/packer@1.11.2"
    plugin = named["github.com/vatesfr/xenserver"]
    assert plugin["uri"] == "pkg:generic/github.com/vatesfr/xenserver@0.11.4"
    assert named[PARENT]["digest"] == {"sha256": "34" * 32}
    assert definition["externalParameters"]["variables"] == {"disk": 1024, "later": None}
    assert "hunter2" not in json.dumps(document)


def test_another_implementation_opens_our_envelope_with_our_key_and_no_other() -> None:
    statement = statement_of(encoded())
    envelope = Envelope.from_dict(json.loads(sealed(statement, KEY)))
    assert envelope.pae() == pae("application/vnd.in-toto+json", statement)
    ours, other = (
        SSlibKey(one.public.id_hex, "ed25519", "ed25519", {"public": _raw_hex(one)})
        for one in (KEY, SigningKey.new())
    )
    assert envelope.verify([ours], threshold=1)
    with pytest.raises(VerificationError):
        envelope.verify([other], threshold=1)


def test_what_is_signed_is_the_encoding_of_the_specification() -> None:
    # protocol.md of DSSE, "Test Vectors"
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_version_without_a_digest_cannot_be_signed() -> None:
    document = make.published()
    document["files"]["xva"]["sha256_hex"] = ""  # type: ignore[index]
    with pytest.raises(SignatureError, match="no SHA-256"):
        statement_of(metadata.encode(document))


@pytest.mark.parametrize("name", ["_type", "predicateType"])
def test_a_statement_of_another_kind_is_refused(name: str) -> None:
    document = json.loads(statement_of(encoded()))
    document[name] = "https://example.com/other"
    with pytest.raises(SignatureError, match="statement is wrong"):
        digests_in(json.dumps(document).encode())


def test_keys_survive_their_files_and_a_password_is_needed_where_there_is_one() -> None:
    plain = read_signing_key(KEY.pem(), origin="k")
    locked = read_signing_key(KEY.pem("open sesame"), origin="k", password="open sesame")
    public = read_public_key(KEY.public.pem, origin="k.pub")
    assert plain.public.id_hex == locked.public.id_hex == public.id_hex == KEY.public.id_hex
    assert public.fits(KEY.sign(b"data"), b"data")
    assert not public.fits(KEY.sign(b"data"), b"other")


def _raw_hex(key: SigningKey) -> str:
    text = "".join(key.public.pem.decode().splitlines()[1:-1])
    return base64.b64decode(text)[-32:].hex()  # RFC 8410: the key is the end of the structure
