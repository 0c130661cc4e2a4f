"""ISOs against a vendor's lists, on a mirror at 127.0.0.1."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pysequoia import SignatureMode, Tsk, sign

from asyncpipe.preflight.iso.sums import names_in, read
from asyncpipe.preflight.iso.vendors import image_of
from tests.e2e import forked
from tests.e2e.command import LIMIT_S, REPOSITORY, clean_environment

needs_gpgv = pytest.mark.skipif(shutil.which("gpgv") is None, reason="gpgv is not installed")

DEBIAN = "archive/12.14.0/amd64/iso-cd"
NETINST = "debian-12.14.0-amd64-netinst.iso"
UBUNTU = "ubuntu-24.04.4-live-server-amd64.iso"
ALMA = "AlmaLinux-9.8-x86_64-boot.iso"


def sum_of(name: str, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, name.encode()).hexdigest()


def gnu(*names: str, algorithm: str = "sha256") -> bytes:
    return "".join(f"{sum_of(name, algorithm)}  {name}\n" for name in names).encode()


def bsd(*names: str) -> bytes:
    return "".join(f"# {n}: 1 bytes\nSHA256 ({n}) = {sum_of(n)}\n" for n in names).encode()


class Signer:
    """A vendor's key, made for one test."""

    def __init__(self) -> None:
        self._secret: Any = Tsk.generate("Images <images@example.org>")
        self.key = bytes(self._secret.extract_certificate())

    def detached(self, text: bytes) -> bytes:
        return bytes(sign(self._secret.signer(), text, mode=SignatureMode.DETACHED, armor=True))

    def inline(self, text: bytes) -> bytes:
        return bytes(sign(self._secret.signer(), text, mode=SignatureMode.CLEAR, armor=True))


@dataclass(slots=True)
class Mirror:
    """A folder of images that is served, the template that names one, and who runs the command."""

    folder: Path
    url: str = ""
    signer: Signer = field(default_factory=Signer)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, body: bytes, *, signature: str = "", by: Signer | None = None) -> None:
        file = self.folder / "www" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        for name in read(body):  # a list names images that are there
            (file.parent / name).touch()
        if signature:
            signed = (by or self.signer).detached(body)
            file.with_name(file.name + signature).write_bytes(signed)

    def template(self, path: str, *, checksum: str | None = None, sums: str = "") -> Path:
        """Write a template like ours: mirror, path, a sum or the list beside the image."""
        folder = self.folder / "templates/it"
        folder.mkdir(parents=True, exist_ok=True)
        sums = sums or f"{path.rpartition('/')[0]}/SHA512SUMS"
        stated = f'"{checksum}"' if checksum else '"file:${var.iso_mirror}/${var.sums_path}"'
        text = f'''# The image is {path}; this comment stays.
variable "iso_mirror" {{ default = "{self.url}" }}
variable "iso_path" {{
  default = "{path}" # {path}
}}
variable "sums_path" {{ default = "{sums}" }}
/* {path} */
source "qemu" "x" {{
  iso_url      = "${{var.iso_mirror}}/${{var.iso_path}}"
  iso_checksum = {stated}
}}
build {{
  sources = ["source.qemu.x"]
}}
'''
        file = folder / "template.pkr.hcl"
        file.write_text(text, "utf-8")
        return file

    def check(self, *arguments: str, keyring: bool = True, **environment: str) -> tuple[int, Any]:
        """Run the command; returns its exit code and the one ISO it found."""
        ring = self.folder / "vendor.gpg"
        ring.write_bytes(self.signer.key)
        words = ("--keyring", str(ring)) if keyring else ()
        done = self.run("--json", *words, *arguments, **environment)
        document = json.loads(done.stdout)
        assert document["exit_code"] == done.returncode, done.stderr
        (iso,) = document["isos"]
        return done.returncode, iso

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return forked.run(
            ["iso-check", *arguments],
            folder=self.folder,
            environment=clean_environment(self.folder) | environment,
            limit_s=LIMIT_S,
        )


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    (tmp_path / "www").mkdir()
    found = Mirror(tmp_path)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            found.asked.append(self.path)

    handler = functools.partial(Handler, directory=str(tmp_path / "www"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@needs_gpgv
def test_a_current_iso_with_a_signed_list_is_current(mirror: Mirror) -> None:
    sums = gnu(NETINST, algorithm="sha512")
    mirror.put(f"{DEBIAN}/SHA512SUMS", sums, signature=".sign")
    mirror.template(f"{DEBIAN}/{NETINST}")
    code, iso = mirror.check()
    assert code == 0
    assert (iso["state"], iso["signed"]) == ("current", "signed")
    assert iso["vendor"] == "Debian"
    assert iso["message"] == "is there, the newest of its series, its sum is listed"


def test_an_unsigned_list_is_said_not_to_be_checked(mirror: Mirror) -> None:
    mirror.put(f"{DEBIAN}/SHA512SUMS", gnu(NETINST, algorithm="sha512"))
    mirror.template(f"{DEBIAN}/{NETINST}")
    code, iso = mirror.check()
    assert (code, iso["signed"]) == (0, "not signature-checked")
    assert "the list has no signature" in iso["message"]


def test_a_signature_that_nothing_here_can_check_is_claimed_by_nobody(mirror: Mirror) -> None:
    mirror.put(f"{DEBIAN}/SHA512SUMS", gnu(NETINST, algorithm="sha512"), signature=".sign")
    mirror.template(f"{DEBIAN}/{NETINST}")
    python_only = str(Path(sys.executable).parent)
    _, iso = mirror.check(PATH=python_only)
    assert iso["signed"] == "not signature-checked"
    assert "gpgv is not installed" in iso["message"]
    refused = mirror.run("--keyring", "/nowhere.gpg")
    assert (refused.returncode, "/nowhere.gpg: no such keyring." in refused.stderr) == (2, True)


@needs_gpgv
@pytest.mark.parametrize("damage", ["other key", "other text"])
def test_a_wrongly_signed_list_is_not_believed_and_changes_nothing(
    mirror: Mirror, damage: str
) -> None:
    newer = NETINST.replace("12.14", "12.15")
    sums = gnu(NETINST, newer, algorithm="sha512")
    by = Signer() if damage == "other key" else None
    mirror.put(f"{DEBIAN}/SHA512SUMS", sums, signature=".sign", by=by)
    if damage == "other text":
        mirror.put(f"{DEBIAN}/SHA512SUMS", sums + b"\n")
    file = mirror.template(f"{DEBIAN}/{NETINST}")
    before = file.read_bytes()
    code, iso = mirror.check("--update")
    assert (code, iso["state"], iso["signed"]) == (63, "wrongly signed", "wrongly signed")
    assert iso["written"] == []
    assert file.read_bytes() == before


@needs_gpgv
def test_a_newer_one_in_a_folder_beside_is_found_and_written(mirror: Mirror) -> None:
    newer = "debian-12.15.0-amd64-netinst.iso"
    mirror.put(f"{DEBIAN}/SHA512SUMS", gnu(NETINST, algorithm="sha512"), signature=".sign")
    for version in ("11.11.0", "13.6.0"):
        name = f"debian-{version}-amd64-netinst.iso"
        mirror.put(f"archive/{version}/amd64/iso-cd/SHA512SUMS", gnu(name, algorithm="sha512"))
    sums = gnu(newer, "debian-12.15.0-amd64-DVD-1.iso", algorithm="sha512")
    mirror.put("release/12.15.0/amd64/iso-cd/SHA512SUMS", sums, signature=".sign")
    file = mirror.template(f"{DEBIAN}/{NETINST}")
    code, iso = mirror.check()
    assert (code, iso["state"], iso["signed"]) == (60, "newer", "signed")
    assert iso["newer_url"] == f"{mirror.url}/release/12.15.0/amd64/iso-cd/{newer}"

    before = file.read_text("utf-8")
    code, iso = mirror.check("--update")
    assert code == 0
    assert iso["written"] == ["templates/it/template.pkr.hcl:4", "templates/it/template.pkr.hcl:6"]
    path = f"release/12.15.0/amd64/iso-cd/{newer}"
    old = f"{DEBIAN}/{NETINST}"
    expected = before.replace(f'"{old}"', f'"{path}"')
    expected = expected.replace(
        f'"{DEBIAN}/SHA512SUMS"', '"release/12.15.0/amd64/iso-cd/SHA512SUMS"'
    )
    assert file.read_text("utf-8") == expected
    assert expected.count(old) == 3  # the comments are as they were
    code, iso = mirror.check()
    assert (code, iso["state"]) == (0, "current")


@needs_gpgv
def test_a_newer_one_in_the_same_list_is_written_with_its_sum(mirror: Mirror) -> None:
    newest = "ubuntu-24.04.10-live-server-amd64.iso"
    others = ("ubuntu-24.04.5-live-server-amd64.iso", "ubuntu-24.04.11-desktop-amd64.iso")
    mirror.put("noble/SHA256SUMS", gnu(*others, newest), signature=".gpg")
    old = sum_of(UBUNTU)
    file = mirror.template(f"noble/{UBUNTU}", checksum=f"sha256:{old}")
    code, iso = mirror.check()
    assert (code, iso["state"]) == (61, "gone")
    assert iso["message"] == f"{newest} is published, {UBUNTU} is gone"
    code, iso = mirror.check("--update")
    assert code == 0
    text = file.read_text("utf-8")
    assert f'default = "noble/{newest}" # noble/{UBUNTU}' in text
    assert f'iso_checksum = "sha256:{sum_of(newest)}"' in text


@needs_gpgv
def test_a_changed_sum_is_written_only_when_it_is_proved(mirror: Mirror) -> None:
    mirror.put("noble/SHA256SUMS", gnu(UBUNTU))
    file = mirror.template(f"noble/{UBUNTU}", checksum=f"sha256:{'0' * 64}")
    code, iso = mirror.check("--update")
    assert (code, iso["state"], iso["written"]) == (62, "changed", [])
    assert sum_of(UBUNTU) in iso["message"]
    mirror.put("noble/SHA256SUMS", gnu(UBUNTU), signature=".gpg")
    code, iso = mirror.check()
    assert (code, iso["state"]) == (62, "changed")
    code, iso = mirror.check("--update")
    assert code == 0
    assert f'"sha256:{sum_of(UBUNTU)}"' in file.read_text("utf-8")


def test_one_that_is_gone_with_its_list_or_from_it_is_gone(mirror: Mirror) -> None:
    mirror.template(f"{DEBIAN}/{NETINST}")
    code, iso = mirror.check()
    assert (code, iso["state"]) == (61, "gone")
    mirror.put(f"{DEBIAN}/SHA512SUMS", gnu("debian-edu-12.14.0-amd64.iso", algorithm="sha512"))
    code, iso = mirror.check("--update")
    assert (code, iso["state"], iso["written"]) == (61, "gone", [])


def test_one_that_moved_to_another_folder_is_found_there_and_written(mirror: Mirror) -> None:
    moved = DEBIAN.replace("archive", "release")
    mirror.put(f"{moved}/SHA512SUMS", gnu(NETINST, algorithm="sha512"))
    file = mirror.template(f"{DEBIAN}/{NETINST}")
    code, iso = mirror.check()
    assert (code, iso["state"]) == (61, "gone")
    assert iso["newer_url"] == f"{mirror.url}/{moved}/{NETINST}"
    code, iso = mirror.check("--update")
    assert code == 0
    assert f'default = "{moved}/{NETINST}" #' in file.read_text("utf-8")


def test_a_vendor_that_does_not_answer_is_no_verdict(mirror: Mirror) -> None:
    mirror.url = "http://127.0.0.1:9"
    mirror.template(f"{DEBIAN}/{NETINST}")
    code, iso = mirror.check()
    assert (code, iso["state"]) == (64, "unreachable")


@needs_gpgv
def test_of_a_list_signed_in_itself_only_the_signed_text_counts(mirror: Mirror) -> None:
    newer = ALMA.replace("9.8", "9.9")
    inline = mirror.signer.inline(bsd(ALMA))
    mirror.put("9/isos/x86_64/CHECKSUM", inline + bsd(newer))
    mirror.template(f"9/isos/x86_64/{ALMA}", sums="9/isos/x86_64/CHECKSUM")
    code, iso = mirror.check()
    assert (code, iso["state"]) in {(0, "current"), (63, "wrongly signed")}
    mirror.put("9/isos/x86_64/CHECKSUM", mirror.signer.inline(bsd(ALMA, newer)))
    code, iso = mirror.check()
    assert (code, iso["state"], iso["signed"]) == (60, "newer", "signed")


@needs_gpgv
def test_centos_stream_lists_each_image_apart(mirror: Mirror) -> None:
    old, new = (f"CentOS-Stream-9-{d}.0-x86_64-boot.iso" for d in ("20260101", "20260301"))
    folder = "9-stream/BaseOS/x86_64/iso"
    for name in (old, new, "CentOS-Stream-9-latest-x86_64-boot.iso"):
        mirror.put(f"{folder}/{name}", b"")
        mirror.put(f"{folder}/{name}.SHA256SUM", bsd(name), signature=".asc")
    mirror.template(f"{folder}/{old}", checksum=f"sha256:{sum_of(old)}")
    code, iso = mirror.check()
    assert (code, iso["vendor"], iso["signed"]) == (60, "CentOS Stream", "signed")
    assert iso["newer_url"].endswith(new)
    mirror.template(f"{folder}/CentOS-Stream-9-latest-x86_64-boot.iso", checksum=f"{'1' * 64}")
    code, iso = mirror.check()
    assert (code, iso["state"]) == (62, "changed")


def test_a_step_on_github_gets_an_annotation_at_the_line_and_outputs(mirror: Mirror) -> None:
    mirror.template(f"{DEBIAN}/{NETINST}")
    outputs = mirror.folder / "outputs"
    done = mirror.run(GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(outputs))
    assert done.returncode == 61
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("::error")]
    assert "file=templates/it/template.pkr.hcl,line=9" in line
    assert "title=ISO gone" in line
    assert "gone            templates/it  debian-12.14.0" in done.stdout
    text = outputs.read_text("utf-8")
    assert "exit-code" in text
    assert "updated" in text


def test_an_image_of_no_known_vendor_is_named_and_fails_nothing(mirror: Mirror) -> None:
    mirror.template("x/freebsd-15.iso", checksum=sum_of("freebsd-15.iso"))
    mirror.put("x/freebsd-15.iso", b"")
    code, iso = mirror.check()
    assert (code, iso["state"], iso["vendor"]) == (0, "no list known", "its publisher")


NO_LIST = ("OracleLinux-", "rhel-")  # RHEL's needs an account; Oracle's lists lie elsewhere


def test_every_template_that_comes_with_the_project_has_a_known_vendor_or_is_named() -> None:
    text = "".join(file.read_text("utf-8") for file in REPOSITORY.glob("templates/*/*/*.pkr.hcl"))
    names = {word.strip('"').rpartition("/")[2] for word in text.split() if word.endswith('.iso"')}
    assert len(names) >= 9
    without = {name for name in names if image_of(name) is None}
    assert without == {name for name in names if name.startswith(NO_LIST)}


@pytest.mark.parametrize(
    ("old", "new", "is_older"),
    [
        (NETINST, "debian-12.15.0-amd64-netinst.iso", True),
        ("debian-12.9.0-amd64-netinst.iso", "debian-12.10.0-amd64-netinst.iso", True),
        (NETINST, "debian-13.0.0-amd64-netinst.iso", False),
        (NETINST, "debian-12.15.0-arm64-netinst.iso", False),
        ("ubuntu-26.04-live-server-amd64.iso", "ubuntu-26.04.1-live-server-amd64.iso", True),
        (UBUNTU, "ubuntu-24.10-live-server-amd64.iso", False),
        (ALMA, "AlmaLinux-9.9-x86_64-boot.iso", True),
        (ALMA, "AlmaLinux-10.2-x86_64-boot.iso", False),
        (ALMA, "AlmaLinux-9.9-x86_64-dvd.iso", False),
        ("Rocky-9.8-x86_64-boot.iso", "Rocky-9.10-x86_64-boot.iso", True),
    ],
)
def test_only_a_later_image_of_the_same_kind_and_series_is_newer(
    old: str, new: str, *, is_older: bool
) -> None:
    first, second = image_of(old), image_of(new)
    assert first is not None
    assert second is not None
    assert first.is_older_than(second) is is_older


@pytest.mark.parametrize("make", [gnu, bsd])
def test_both_forms_of_lists_are_read(make: Callable[..., bytes]) -> None:
    text = b"-----BEGIN\n" + make(NETINST, UBUNTU) + b"garbage " + b"\xff" * 80 + b"\n"
    assert read(text) == {NETINST: sum_of(NETINST), UBUNTU: sum_of(UBUNTU)}


def test_a_folders_page_is_read_for_names_only() -> None:
    page = b'<a href="../">up</a><a href="12.14.0/">x</a><a href=12.15.0/>y</a><a href="/a/b">z</a>'
    assert names_in(page) == ["..", "12.14.0", "12.15.0"]
