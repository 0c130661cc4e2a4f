"""What the metadata says of medium and host: all that is known, nothing that is private."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncpipe import metadata
from asyncpipe.model.build import HostObjects, IsoSource, UploadedImage
from asyncpipe.model.clean_up import CleanUp, HostOutcome
from asyncpipe.model.host import Remaining
from asyncpipe.model.identity import Evidence, OsIdentity, Weight
from asyncpipe.model.template import Template
from tests.metadata import documents as make

UUID = "0a1b2c3d-0000-4000-8000-0123456789ab"
USED = HostObjects(
    iso=IsoSource(
        url="file:///srv/media/debian%2012.iso",
        path="/root/.cache/packer/1234.iso",
        sha256_hex="ab" * 32,
        size_bytes=7,
    ),
    iso_vdi_name="debian%2012.iso",
    uploads=(UploadedImage(name="debian%2012.iso"),),
    creating=True,
)


def _iso(made: HostObjects | None = USED, **attributes: Any) -> Any:
    return make.draft(make.template(**attributes), made=made)["iso"]


def _hosted(*variables: Any, **attributes: Any) -> Template:
    where = {"remote_host": "xcp1.example:8443", "remote_username": "builder"}
    return make.template(*variables, **{**where, **attributes})


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("file:http://mirror.example/SHA256SUMS", None),
        ("file:/srv/media/SHA256SUMS", None),
        ("file:./SHA256SUMS", None),
        ("none", None),
        ("sha256:" + "0a" * 32, "sha256:" + "0a" * 32),
        ("0A" * 32, "0A" * 32),
        ("md5:" + "0a" * 16, "md5:" + "0a" * 16),
    ],
)
def test_the_checksum_is_a_checksum_and_never_where_one_would_be(
    declared: str, said: str | None
) -> None:
    assert _iso(iso_checksum=declared)["checksum"] == said


def test_the_digest_and_size_are_those_of_the_file_that_was_used() -> None:
    iso = _iso(iso_checksum="file:http://mirror.example/SHA256SUMS")
    assert iso["sha256_hex"] == "ab" * 32
    assert iso["size_bytes"] == 7
    assert iso["confirmed"] is True


def test_the_medium_has_a_name_also_where_only_a_url_gives_it() -> None:
    assert _iso(None)["name"] == "debian-12.11.0-amd64-netinst.iso"
    assert _iso(None, iso_name="from the pool.iso")["name"] == "from the pool.iso"
    assert _iso()["name"] == "debian 12.iso"


@pytest.mark.parametrize(
    "url", ["file:///srv/media/x.iso", "/srv/media/x.iso", "./media/x.iso", "media/x.iso"]
)
def test_of_a_medium_on_this_machine_its_name_alone_is_published(url: str) -> None:
    for made in (None, HostObjects(iso=IsoSource(url=url, path="/srv/media/x.iso"))):
        iso = _iso(made, iso_url=url)
        assert (iso["url"], iso["name"]) == ("x.iso", "x.iso")
        assert "/" not in json.dumps(iso)


@pytest.mark.parametrize("text", ["file:///srv/media/debian-12.iso", "/srv/media/debian-12.iso"])
def test_evidence_names_a_medium_on_this_machine_without_its_path(text: str) -> None:
    seen = Evidence(weight=Weight.RETRIEVED, kind="retrieved", text=text, origin="build.log")
    os: Any = make.draft(identity=OsIdentity(evidence=(seen,)))["os"]
    assert os["evidence"][0]["text"] == "debian-12.iso"


def test_host_and_user_are_not_published_whatever_their_variables_are_called() -> None:
    template = _hosted(
        make.variable("pool_master", "xcp1.example:8443"),
        make.variable("who", "builder"),
        make.variable("remote_host", "another.example"),
        make.variable("cpus", 2),
    )
    build: Any = make.draft(template)["build"]
    assert build["variables"] == {"cpus": 2}


def test_a_guests_user_of_the_same_name_is_no_secret_of_the_host() -> None:
    template = _hosted(
        make.variable("guest_user", "root"), remote_username="root", ssh_username="root"
    )
    build: Any = make.draft(template)["build"]
    assert build["variables"] == {"guest_user": "root"}


def test_no_sentence_that_is_published_names_the_host() -> None:
    template = _hosted()
    left = Remaining(kind="VM", uuid=UUID, name="x", reason="XCP1.example:8443 refused VM.destroy.")
    outcome = HostOutcome(
        clean_up=CleanUp.REMAINS, remaining=(left,), why="xcp1.example did not answer"
    )
    document = metadata.failed(
        make.draft(
            template,
            build_exit=make.build_exit("dial tcp xcp1.example:8443: refused"),
            host=outcome,
        ),
        error="xcp1.example:8443 did not answer; my-xcp1.example and xcp1.example.org are others",
        exit_code=50,
        sealed=None,
        xva_report=None,
        template=template,
    )
    text = json.dumps(document)
    assert text.lower().replace("my-xcp1.example and xcp1.example.org", "").count("xcp1") == 0
    failure: Any = document["failure"]
    assert failure["error"].startswith("<host>:8443 did not answer; my-xcp1.example and xcp1.")


@pytest.mark.parametrize("clean_up", [c for c in CleanUp if c is not CleanUp.NOTHING_MADE])
def test_the_vm_and_what_became_of_it_are_published(clean_up: CleanUp) -> None:
    host: Any = make.draft(host=HostOutcome(clean_up=clean_up, vm_uuid=UUID, asked=True))["host"]
    assert (host["vm_uuid"], host["clean_up"], host["asked"]) == (UUID, clean_up.value, True)


def test_nothing_is_said_of_a_host_where_nothing_was_made() -> None:
    assert make.draft(host=HostOutcome(clean_up=CleanUp.NOTHING_MADE))["host"] is None


def test_where_the_login_of_a_kept_vm_lies_is_told_and_not_published() -> None:
    private = "Console: https://xcp1.example/console. Login: root, its password is in /srv/login."
    outcome = HostOutcome(clean_up=CleanUp.KEPT, vm_uuid=UUID, why="as asked", private=private)
    assert outcome.sentences == (f"VM {UUID} was kept at the host: as asked. {private}",)
    assert "/srv" not in json.dumps(make.draft(_hosted(), host=outcome))
