"""The folders are built the same way; what they share stands once."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.templates.needs import REPO

COMMON = REPO / "templates" / "common"
FOLDERS = {
    **{f"debian/{version}": "debian" for version in ("12", "12-lvm", "13", "13-lvm")},
    **{f"ubuntu/{version}": "ubuntu" for version in ("22.04", "24.04", "26.04")},
    **{f"almalinux/{version}": "redhat" for version in ("8", "9", "10")},
    **{f"rocky/{version}": "redhat" for version in ("8", "9", "10")},
    **{f"oracle/{version}": "redhat" for version in ("9", "10")},
    **{f"rhel/{version}": "redhat" for version in ("9", "10")},
    "centos-stream/10": "redhat",
}


def blocks(path: Path, kind: str) -> list[dict[str, Any]]:
    found = hcl2.load(io.StringIO(path.read_text())).get(kind, [])
    assert isinstance(found, list)
    return found


def variables(path: Path) -> dict[str, dict[str, Any]]:
    return {
        name.strip('"'): body
        for block in blocks(path, "variable")
        for name, body in block.items()
        if not name.startswith("__")
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_holds_one_file_of_its_own_and_links(folder: str) -> None:
    path = REPO / "templates" / folder
    own = [file.name for file in path.iterdir() if not file.is_symlink()]
    links = {file.name: file.resolve() for file in path.iterdir() if file.is_symlink()}
    assert own == ["template.pkr.hcl"]
    expected = {"variables", "provisioning", "xenserver", FOLDERS[folder]}
    assert links == {f"{name}.pkr.hcl": COMMON / f"{name}.hcl" for name in expected}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_names_its_system_as_its_path_does(folder: str) -> None:
    locals_ = blocks(REPO / "templates" / folder / "template.pkr.hcl", "locals")[0]
    name, version = folder.split("/")
    assert locals_["os_name"].strip('"') == name
    assert locals_["os_version"].strip('"') == version.removesuffix("-lvm")


def test_the_shared_folder_is_no_template() -> None:
    """Whoever looks for templates by their files' names must not find half of one."""
    assert not list(COMMON.rglob("*.pkr.hcl"))


def test_every_variable_is_described() -> None:
    for path in [*COMMON.glob("*.hcl"), *REPO.glob("templates/*/*/template.pkr.hcl")]:
        for name, body in variables(path).items():
            assert len(body.get("description", "").strip('"')) > 10, (path, name)
            assert "type" in body, (path, name)


def test_what_the_pipeline_passes_is_declared() -> None:
    declared = variables(COMMON / "variables.hcl")
    assert {"output_directory", "run_timestamp", "vm_name"} <= set(declared)


@pytest.mark.parametrize("name", ["remote_password", "build_password", "build_password_hash"])
def test_a_secret_is_sensitive_and_has_no_value(name: str) -> None:
    declared = variables(COMMON / "variables.hcl") | variables(COMMON / "xenserver.hcl")
    body = declared[name]
    assert body["sensitive"] is True
    assert body.get("default", '""') == '""'


def test_no_template_stays_on_the_pool_and_no_vm_either() -> None:
    source = (COMMON / "xenserver.hcl").read_text()
    assert "skip_set_template = true" in source
    assert "keep_vm           = var.keep_vm" in source
    assert re.search(r'variable "keep_vm" {[^}]*default     = "never"', source)
