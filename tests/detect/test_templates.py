"""Whole templates in the style of well-known public repositories: the answer, and file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncpipe import template
from asyncpipe.detect import determine_os_info
from asyncpipe.detect.evidence import from_template
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.template import Template

TEMPLATES = Path(__file__).parent / "templates"


def load(name: str, *var_files: str, **more: object) -> Template:
    files = [TEMPLATES / file for file in var_files]
    return template.load(TEMPLATES / name, var_files=files, **more)  # type: ignore[arg-type]


def identify(name: str, *var_files: str) -> OsIdentity:
    return determine_os_info(from_template(load(name, *var_files)))


def origin_of(identity: OsIdentity, kind: str) -> str:
    found = next(one.origin for one in identity.evidence if one.kind == kind)
    return Path(found).relative_to(TEMPLATES).as_posix()


@pytest.mark.parametrize(
    ("name", "var_files", "short_id", "release", "kind", "origin"),
    [
        (
            "shared-with-var-files",
            ["shared-with-var-files/os/rocky-9-x86_64.pkrvars.hcl"],
            "rocky9",
            "9.6",
            "os_name+os_version",
            "shared-with-var-files/os/rocky-9-x86_64.pkrvars.hcl:1",
        ),
        (
            "legacy-json/centos.json",
            [],
            "centos7",
            "7.9.2009",
            "iso_url",
            "legacy-json/centos.json:13",
        ),
        ("split-files", [], "almalinux9", "9.7", "iso_url", "split-files/sources.pkr.hcl:2"),
        ("auto-vars", [], "debian12", "12.14.0", "iso_url", "auto-vars/template.pkr.hcl:14"),
        (
            "lying-profile",
            [],
            "ubuntu24.04",
            "24.04.4",
            "iso_urls",
            "lying-profile/ubuntu.pkr.hcl:6",
        ),
        (
            "guest-variables",
            ["guest-variables/vars/sles.pkrvars.hcl"],
            "sle15sp6",
            None,
            "iso_paths",
            "guest-variables/linux.pkr.hcl:13",
        ),
        ("windows", [], "win2k22", "20348.169", "iso_url", "windows/windows.pkr.hcl:6"),
        ("json-syntax", [], "opensuse15.6", None, "iso_url", "json-syntax/image.pkr.json:9"),
        (
            "required-iso/fedora-server.pkr.hcl",
            [],
            "fedora",
            None,
            "path",
            "required-iso/fedora-server.pkr.hcl",
        ),
    ],
)
def test_the_answer_and_where_it_comes_from(
    name: str, var_files: list[str], short_id: str, release: str | None, kind: str, origin: str
) -> None:
    identity = identify(name, *var_files)
    assert (identity.short_id, identity.release) == (short_id, release)
    assert origin_of(identity, kind) == origin


def test_declared_and_real_point_release_are_told_apart() -> None:
    identity = identify(
        "shared-with-var-files", "shared-with-var-files/os/rocky-9-x86_64.pkrvars.hcl"
    )
    assert [(one.field, one.chosen, one.other) for one in identity.conflicts] == [
        ("release", "9.6", "9.7")
    ]
    assert not any(one.series for one in identity.conflicts)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("many-builders/boxes.json", ["alpinelinux3.19", "debian12", "hardenedbsd13"]),
        ("build-overrides", ["ubuntu24.04", "debian12"]),
    ],
)
def test_several_sources_are_ambiguous_as_a_whole_and_answered_one_by_one(
    name: str, expected: list[str]
) -> None:
    loaded = load(name)
    assert determine_os_info(from_template(loaded)).os_type is None
    answers = [determine_os_info(from_template(loaded, source)) for source in loaded.sources]
    assert [answer.short_id for answer in answers] == expected


def test_only_picks_the_source() -> None:
    loaded = load("build-overrides", only=["linux.xenserver-iso.server-b"])
    assert determine_os_info(from_template(loaded)).short_id == "debian12"
    loaded = load("build-overrides", except_=["*.server-b"])
    assert determine_os_info(from_template(loaded)).short_id == "ubuntu24.04"


def test_an_iso_without_a_value_leaves_only_what_the_labels_say() -> None:
    identity = identify("required-iso/fedora-server.pkr.hcl")
    assert identity.os_version is None
    assert identity.confidence < 0.5
    loaded = load("required-iso")
    assert not loaded.variables["fedora_iso_path"].is_set


def test_a_secret_never_becomes_evidence() -> None:
    loaded = load("lying-profile", environment={"PKR_VAR_remote_password": "debian-12-hunter2"})
    identity = determine_os_info(from_template(loaded))
    assert "hunter2" not in repr(identity)


def test_a_folder_that_is_served_counts_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "http").mkdir()
    (tmp_path / "http" / "preseed.cfg").write_text("d")
    (tmp_path / "a.pkr.hcl").write_text(
        'source "x" "y" { http_directory = "http" }\nbuild { sources = ["x.y"] }'
    )
    found = template.load(tmp_path, working_directory=tmp_path).referenced_files
    assert found == (tmp_path / "http", tmp_path / "http" / "preseed.cfg")


def test_files_of_the_machine_that_a_template_uses_are_known() -> None:
    def names(name: str) -> list[str]:
        return [path.name for path in load(name, working_directory=Path("/")).referenced_files]

    assert names("shared-with-var-files") == ["update.sh"]
    assert names("legacy-json/centos.json") == ["clean.sh"]
    assert names("auto-vars") == ["preseed.cfg"]
    assert names("windows") == ["autounattend-std.xml"]


def test_the_value_of_a_sensitive_variable_is_no_evidence_nor_is_a_local_made_of_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.pkr.hcl").write_text(
        'variable "os_name" {\n  default = "debian"\n  sensitive = true\n}\n'
        'variable "key" {\n  default = "rocky"\n  sensitive = true\n}\n'
        'locals {\n  os_name = var.key\n  os_version = "12"\n}\n'
        'source "null" "x" {}\nbuild { sources = ["source.null.x"] }\n'
    )
    texts = [str(one) for one in from_template(template.load(tmp_path))]
    assert not [text for text in texts if "debian" in text or "rocky" in text]


@pytest.mark.parametrize("sensitive", [False, True])
def test_a_sensitive_variable_is_no_evidence(tmp_path: Path, sensitive: bool) -> None:
    (tmp_path / "t.pkr.hcl").write_text(
        f"""
        variable "os_name" {{
          default   = "rocky"
          sensitive = {str(sensitive).lower()}
        }}
        source "null" "x" {{
          communicator = "none"
        }}
        build {{
          sources = ["source.null.x"]
        }}
        """
    )
    identity = determine_os_info(from_template(template.load(tmp_path)))
    assert identity.os_type == (None if sensitive else "rocky")
    assert ("rocky" in repr(identity)) != sensitive
