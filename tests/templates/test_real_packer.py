"""Current Packer and the real plugin read every template for XCP-ng."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.templates.needs import REPO
from tests.templates.real_packer import RealPacker, current_packer, real_packer

pytestmark = [pytest.mark.heavy, pytest.mark.real_packer]

FOLDERS = sorted(
    str(path.parent.relative_to(REPO))
    for path in REPO.glob("templates/*/*/template.pkr.hcl")
    if path.parent.parent.name != "qemu"
)

SECRETS = {"remote_host": "host.example", "remote_username": "builder", "remote_password": "s3cr3t"}


@pytest.fixture(scope="module")
def packer() -> RealPacker:
    return real_packer()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The vendors' files of sums, in the vendors' formats: validating reads them."""
    root = tmp_path_factory.mktemp("mirror")
    for folder in FOLDERS:
        _write_sums(root, (REPO / folder / "template.pkr.hcl").read_text())
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _write_sums(root: Path, template: str) -> None:
    image = Path(_default(template, "iso_path")).name
    sums = root / _default(template, "iso_checksum_path")
    sums.parent.mkdir(parents=True, exist_ok=True)
    digits = "ab" * (64 if "512" in sums.name else 32)
    if sums.name.endswith(("CHECKSUM", "SHA256SUM")):
        line = f"# {image}: 1012345678 bytes\nSHA256 ({image}) = {digits}\n"
    else:
        line = f"{digits} *{image}\n"
    with sums.open("a") as file:
        file.write(line)


def _default(template: str, name: str) -> str:
    found = re.search(rf'variable "{name}" {{.*?default\s+= "([^"]+)"', template, re.DOTALL)
    assert found, name
    return found[1]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_real_plugin_accepts_the_template(
    packer: RealPacker, mirror: str, folder: str, firmware: str
) -> None:
    result = packer.run(
        "validate", folder, cwd=REPO, iso_mirror=mirror, firmware=firmware, **SECRETS
    )
    assert result.stdout.strip() == "The configuration is valid."
    assert result.returncode == 0


def test_there_are_eighteen_templates() -> None:
    assert len(FOLDERS) == 18


def test_every_optional_setting_is_accepted_at_once(packer: RealPacker, mirror: str) -> None:
    result = packer.run(
        "validate",
        "templates/almalinux/10",
        cwd=REPO,
        iso_mirror=mirror,
        http_proxy="http://proxy.example:3128",
        package_mirror="http://mirror.example/almalinux/10",
        ntp_servers='["ntp1.example", "192.0.2.7"]',
        cloud_init_datasources='["NoCloud", "CloudStack", "None"]',
        allow_forwarding="true",
        guest_agent_sha256=f"{'0' * 64} {'1' * 64}",
        rhsm_organization="1234",
        rhsm_activation_key="invented",
        secure_boot="true",
        firmware="uefi",
        format="xva_compressed",
        run_timestamp="20261123T170000Z",
        output_directory="elsewhere",
        build_password="invented",
        build_password_hash="$6$salt$hash",
        **SECRETS,
    )
    assert result.stdout.strip() == "The configuration is valid."


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("firmware", "efi", "The firmware is bios or uefi."),
        ("format", "vhd", "The format is xva or xva_compressed."),
        ("hardening_profile", "wild", "The hardening profile is minimal, baseline or strict."),
        ("vm_name", "a/b", "must not contain a slash"),
        ("variant", "Web Server", "A variant has at most 40 of a-z, 0-9"),
        ("http_proxy", "http://user:pass@proxy", "without user and password"),
        ("package_mirror", "http://user:pass@mirror/debian", "without user, password"),
        ("security_mirror", "ftp://mirror/debian", "without user, password"),
        ("guest_agent_sha256", "abc", "A SHA-256 has 64 lower-case hex digits."),
        ("ntp_servers", '["a b"]', "A time server is a host name or an address."),
        ("cloud_init_datasources", '["No Cloud"]', "A datasource is one of cloud-init's names"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(
    packer: RealPacker, mirror: str, name: str, value: str, sentence: str
) -> None:
    variables = {**SECRETS, "iso_mirror": mirror, name: value}
    result = packer.run("validate", "templates/debian/12", cwd=REPO, **variables)
    assert result.returncode == 1
    assert sentence in result.stdout


def test_nothing_secret_is_shown_by_inspect(packer: RealPacker) -> None:
    result = packer.run(
        "inspect", "templates/debian/12", cwd=REPO, build_password="invented-secret", **SECRETS
    )
    assert result.returncode == 0
    assert "s3cr3t" not in result.stdout
    assert "invented-secret" not in result.stdout
    assert "asyncpipe.hash=<sensitive>" in result.stdout


def test_the_files_are_formatted() -> None:
    result = current_packer().run("fmt", "-check", "-diff", "-recursive", "templates", cwd=REPO)
    assert result.stdout == ""
    assert result.returncode == 0


def test_the_qemu_template_is_sound_syntax() -> None:
    result = current_packer().run("validate", "-syntax-only", "templates/qemu/debian-12", cwd=REPO)
    assert "Syntax-only check passed." in result.stdout
