from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from asyncpipe import metadata
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.identity import GuestFacts, OsIdentity, Package
from asyncpipe.text.safe import printable, without_userinfo
from tests.metadata import documents as make
from tests.metadata import schema_files


def test_a_published_document_fits_its_schema_and_says_what_readers_look_for() -> None:
    document = json.loads(metadata.encode(make.published()))

    assert document["os"]["short_id"] == "debian12"
    assert document["files"]["xva"]["size_bytes"] == 3
    assert document["packages"][0] == {"name": "bash", "version": "5.2.15-2+b8", "arch": "amd64"}
    assert document["build"]["template"]["path"] == "templates/debian/12"
    assert document["build"]["packer"]["plugins"] == {"github.com/vatesfr/xenserver": "0.11.4"}
    assert document["build"]["variables"] == {"disk": 1024, "later": None}
    assert document["verified"] == ["crc64nvme", "size"]
    assert document["log"]["redactions"] == 2


def test_every_field_of_a_document_is_in_its_schema_and_is_written() -> None:
    failed = metadata.failed(
        make.draft(),
        error="bad",
        exit_code=31,
        sealed=make.sealed(),
        xva_report=None,
        template=make.template(),
    )
    for document in (make.published(), failed):
        assert json.loads(metadata.encode(document)) == json.loads(json.dumps(document))


@pytest.mark.parametrize("name", schema_files.NAMES)
def test_the_published_schemas_are_those_of_the_structs(name: str) -> None:
    written = json.loads(schema_files.path_of(name).read_text(encoding="utf-8"))
    assert written == schema_files.schema(name), "python -m tests.metadata.schema_files"
    Draft202012Validator.check_schema(written)


def test_documents_of_ours_fit_the_published_schema_by_another_validator() -> None:
    schema = json.loads(schema_files.path_of("metadata-1").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(json.loads(metadata.encode(make.published())))


def test_the_same_facts_give_the_same_bytes() -> None:
    assert metadata.encode(make.published()) == metadata.encode(make.published())


def test_a_failure_before_packer_ran_can_be_told() -> None:
    document = metadata.failed(
        make.draft(build_exit=None, guest=GuestFacts(), identity=OsIdentity()),
        error="Packer failed\nwith two lines",
        exit_code=20,
        sealed=None,
        xva_report=None,
        template=make.template(),
    )
    written = json.loads(metadata.encode(document))
    assert written["failure"] == {"error": "Packer failed\\nwith two lines", "exit_code": 20}
    assert written["build"]["started_utc"] is None


@pytest.mark.parametrize("name", ["ssh_password", "api_token", "AWS_SECRET", "private_key", "auth"])
def test_secret_looking_variables_are_left_out(name: str) -> None:
    template = make.template(make.variable(name, "something"), make.variable("cpus", 2))
    build: Any = make.draft(template)["build"]
    assert build["variables"] == {"cpus": 2}


def test_the_value_of_a_sensitive_variable_is_masked_wherever_else_it_stands() -> None:
    secret = "correct horse battery"
    template = make.template(
        make.variable("license", secret, sensitive=True),
        make.variable("pin", "4711", sensitive=True),
        make.variable("copy", "4711"),
        make.variable("command", f"activate --with '{secret}'"),
        iso_name=f"{secret}.iso",
    )
    document = make.draft(template, build_exit=make.build_exit(f"denied: {secret}"))
    text = json.dumps(document)

    assert secret not in text
    assert "4711" not in text
    assert "activate --with '****'" in text


def test_a_short_secret_does_not_shred_the_rest() -> None:
    template = make.template(make.variable("user", "debian", sensitive=True))
    os: Any = make.draft(template)["os"]
    assert os["type"] == "debian"
    assert "Debian GNU/Linux 12" in os["pretty_name"]


def test_credentials_in_urls_are_removed() -> None:
    document = make.draft()
    assert "hunter2" not in json.dumps(document)
    iso: Any = document["iso"]
    assert iso["url"] == "https://mirror.example/debian-12.11.0-amd64-netinst.iso"


def test_a_path_of_the_machine_is_not_published() -> None:
    template = make.template(make.variable("output_directory", "/srv/run/output"))
    assert "/srv" not in json.dumps(make.draft(template))


def test_what_the_guest_says_is_bounded_and_cannot_act() -> None:
    guest = GuestFacts(
        kernel="6.1\x1b[31m\u202e" + "k" * 10_000,
        packages=tuple(Package(name=f"p{n}", version="1") for n in range(25_000)),
    )
    document: Any = make.draft(guest=guest)
    assert "\x1b" not in document["guest"]["kernel"]
    assert len(document["guest"]["kernel"]) <= 2000
    assert len(document["packages"]) == 20_000
    assert document["guest"]["packages_cut"] == 5_000


def test_a_document_that_breaks_the_schema_is_refused_and_says_where() -> None:
    document = make.published()
    build: Any = document["build"]
    build["duration_s"] = -1
    with pytest.raises(AsyncpipeError, match=r"build\.duration_s"):
        metadata.encode(document)


def test_a_draft_is_never_published() -> None:
    with pytest.raises(AsyncpipeError, match="schema"):
        metadata.encode(make.draft())


def test_an_xva_report_of_any_shape_becomes_plain_json() -> None:
    document = metadata.failed(
        make.draft(),
        error="bad",
        exit_code=31,
        sealed=make.sealed(),
        xva_report={"path": Path("x"), "ratio": float("nan"), "nested": ({"deep": (1, 2)},)},
        template=make.template(),
    )
    report = json.loads(metadata.encode(document))["xva"]
    assert report == {"path": "x", "ratio": None, "nested": [{"deep": [1, 2]}]}


def test_the_bill_of_materials_names_packages_by_url() -> None:
    components: Any = metadata.cyclonedx(make.published())["components"]
    assert components[1]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_printable_text_is_printable_and_bounded(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/?#@ ")))
def test_no_userinfo_survives(secret: str) -> None:
    if secret.split():
        cleaned = without_userinfo(f"get https://me:{'z9' + ''.join(secret.split())}@host/x now")
        assert cleaned == "get https://host/x now"


def test_metadata_is_masked_as_the_log_is_in_every_form_and_by_kind() -> None:
    secret = "pa&ss'7word"
    template = make.template(
        make.variable("winrm_pw", secret),
        make.variable("encoded", base64.b64encode(f"me:{secret}".encode()).decode()),
        make.variable("command", "curl -H 'Authorization: Basic " + "abc" * 8 + "'"),
        make.variable("several", f"one\ntwo {html.escape(secret)}\nthree"),
    )
    build: Any = make.draft(template)["build"]
    assert "winrm_pw" not in build["variables"]
    assert build["variables"]["several"] == "one\\ntwo ****\\nthree"
    text = json.dumps(build)
    assert "abcabc" not in text
    assert base64.b64encode(secret.encode()).decode()[:8] not in text
    assert build["variables"]["encoded"].count("****") == 1
