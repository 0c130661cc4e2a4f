"""The installers' own readers accept the answer files, and the shell readers accept the scripts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.templates.needs import REPO, program

HTTP = REPO / "templates" / "common" / "http"
SCRIPTS = sorted(
    [*REPO.glob("provisioning/**/*.sh"), *REPO.glob("templates/common/**/*.sh")],
)
VENV = Path(sys.executable).parent


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=REPO,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("release", ["RHEL8", "RHEL9", "RHEL10"])
def test_the_kickstart_is_valid_for_the_release(release: str) -> None:
    result = run(VENV / "ksvalidator", "-e", "-v", release, HTTP / "redhat" / "ks.cfg")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("section", ["pre", "post"])
def test_the_kickstart_s_scripts_are_sound_shell(section: str, tmp_path: Path) -> None:
    text = (HTTP / "redhat" / "ks.cfg").read_text()
    found = re.search(rf"^%{section} [^\n]*\n(.*?)^%end", text, re.DOTALL | re.MULTILINE)
    assert found
    script = tmp_path / f"{section}.sh"
    script.write_text("#!/bin/bash\n" + found[1])
    result = run(VENV / "shellcheck", script)
    assert result.returncode == 0, result.stdout


DISK_COMMANDS = (
    "lsblk() { printf 'fd0 disk\\nxvda disk\\nsr0 rom\\n'; }\n"
    'wipefs() { :; }\nudevadm() { :; }\nparted() { echo "parted $*" >&2; }\n'
)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_kickstart_s_include_is_valid_for_every_release(tmp_path: Path, firmware: str) -> None:
    """What %pre writes, with the values of a boot command, is a kickstart too."""
    text = (HTTP / "redhat" / "ks.cfg").read_text()
    pre = re.search(r"^%pre [^\n]*\n(.*?)^%end", text, re.DOTALL | re.MULTILINE)
    assert pre
    (tmp_path / "cmdline").write_text(
        "inst.text asyncpipe.http=http://192.0.2.1:8000 asyncpipe.user=packer"
        " asyncpipe.hash=:6:salt:ha/sh. asyncpipe.locale=fr_FR.UTF-8 asyncpipe.keyboard=fr"
        " asyncpipe.timezone=Europe/Paris asyncpipe.proxy=http://proxy.example:3128"
        " asyncpipe.mirror=https://mirror.example/9"
        " asyncpipe.base=BaseOS/x86_64/os/ asyncpipe.appstream=AppStream/x86_64/os/\n"
    )
    script = (
        pre[1]
        .replace("/proc/cmdline", str(tmp_path / "cmdline"))
        .replace("/tmp/asyncpipe.ks", str(tmp_path / "include.ks"))
        .replace("/tmp/asyncpipe-packages.ks", str(tmp_path / "packages.ks"))
        .replace("/sys/firmware/efi", str(tmp_path / ("no" if firmware == "bios" else "")))
    )
    result = run("bash", "-c", DISK_COMMANDS + script)
    assert result.returncode == 0, result.stderr
    assert "mkpart bios 1MiB 2MiB set 1 bios_grub on" in result.stderr
    assert "set 2 esp on" in result.stderr
    assert (tmp_path / "packages.ks").read_text() == "glibc-langpack-fr\n"
    include = (tmp_path / "include.ks").read_text()
    assert "ignoredisk --only-use=xvda\n" in include
    efi = {"bios": "vfat", "uefi": "efi"}[firmware]
    assert f"part /boot/efi --fstype={efi} --onpart=xvda2\n" in include
    assert "part biosboot --fstype=biosboot --onpart=xvda1\n" in include
    assert "--password=$6$salt$ha/sh.\n" in include
    assert "url --url=https://mirror.example/9/BaseOS/x86_64/os/ --proxy=http://" in include
    for release in ("RHEL8", "RHEL9", "RHEL10"):
        result = run(VENV / "ksvalidator", "-e", "-v", release, tmp_path / "include.ks")
        assert result.returncode == 0, result.stdout + result.stderr


def test_a_kickstart_without_its_values_stops_with_their_name(tmp_path: Path) -> None:
    text = (HTTP / "redhat" / "ks.cfg").read_text()
    pre = re.search(r"^%pre [^\n]*\n(.*?)^%end", text, re.DOTALL | re.MULTILINE)
    assert pre
    (tmp_path / "cmdline").write_text("inst.text quiet\n")
    result = run("bash", "-c", pre[1].replace("/proc/cmdline", str(tmp_path / "cmdline")))
    assert result.returncode == 1
    assert "asyncpipe.user is not on the kernel's command line" in result.stderr


def test_debconf_accepts_the_preseed_file() -> None:
    reader = program("debconf-set-selections", "debconf")
    result = run(reader, "--checkonly", HTTP / "debian" / "preseed.cfg")
    assert (result.returncode, result.stderr) == (0, "")


def test_the_preseed_commands_are_sound_shell(tmp_path: Path) -> None:
    text = (HTTP / "debian" / "preseed.cfg").read_text().replace("\\\n", "\n")
    for name in ("early_command", "late_command"):
        found = re.search(
            rf"^d-i preseed/{name} string\s*(.*?)^(?:#|d-i)", text, re.DOTALL | re.MULTILINE
        )
        assert found, name
        script = tmp_path / f"{name}.sh"
        # debconf joins the continued lines with blanks.
        script.write_text("#!/bin/sh\n" + " ".join(found[1].split("\n")) + "\n")
        result = run(VENV / "shellcheck", "-s", "dash", script)
        assert result.returncode == 0, result.stdout


def early_command(tmp_path: Path, cmdline: str, *, efi: bool) -> dict[str, str]:
    """What the preseed's early command sets, by question."""
    text = (HTTP / "debian" / "preseed.cfg").read_text().replace("\\\n", " ")
    found = re.search(r"^d-i preseed/early_command string\s*(.*)$", text, re.MULTILINE)
    assert found
    (tmp_path / "cmdline").write_text(cmdline)
    script = found[1].replace("/proc/cmdline", str(tmp_path / "cmdline"))
    script = script.replace("/sys/firmware/efi", str(tmp_path if efi else tmp_path / "no"))
    script = script.replace("debconf-set ", "debconf_set ")
    result = run("dash", "-ec", f'debconf_set() {{ echo "$1=$2"; }}\n{script}')
    assert result.returncode == 0, result.stderr
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


CMDLINE = (
    "auto=true asyncpipe.user=builder asyncpipe.hash=:2a:10:ab/c."
    " asyncpipe.timezone=Europe/Paris asyncpipe.mirror=https://mirror.example/d/debian"
    " asyncpipe.security=http://mirror.example/security{} --- quiet\n"
)


@pytest.mark.parametrize("efi", [False, True])
def test_the_preseed_s_early_command_takes_the_run_s_values(tmp_path: Path, efi: bool) -> None:
    said = early_command(tmp_path, CMDLINE.format(""), efi=efi)
    assert said["passwd/username"] == "builder"
    assert said["passwd/user-password-crypted"] == "$2a$10$ab/c."
    assert said["time/zone"] == "Europe/Paris"
    assert said["mirror/protocol"] == "https"
    assert said["mirror/https/hostname"] == "mirror.example"
    assert said["mirror/https/directory"] == "/d/debian"
    assert said["apt-setup/security_host"] == "mirror.example"
    assert said["apt-setup/security_path"] == "/security"


@pytest.mark.parametrize("efi", [False, True])
@pytest.mark.parametrize("layout", ["plain", "lvm"])
def test_the_preseed_s_disk_has_a_place_for_both_boot_loaders(
    tmp_path: Path, layout: str, efi: bool
) -> None:
    said = early_command(tmp_path, CMDLINE.format(f" asyncpipe.layout={layout}"), efi=efi)
    name, _, recipe = said["partman-auto/expert_recipe"].partition(" :: ")
    assert name == "asyncpipe"
    parts = " ".join(recipe.split()).removesuffix(" .").split(" . ")
    assert "method{ biosgrub }" in parts[0]
    assert "mountpoint{ /boot/efi }" in parts[1]
    assert ("method{ efi }" in parts[1]) is efi
    assert "mountpoint{ / }" in parts[-1]
    assert ("$lvmok{ }" in parts[-1]) is (layout == "lvm")
    assert (said.get("partman-auto/method") == "lvm") is (layout == "lvm")
    # Each is: smallest, wished and largest size, file system, options in pairs of braces.
    for part in parts:
        assert re.fullmatch(r"\d+ \d+ (-1|\d+) \w+( \$?\w+\{ [^{}]*\})+", part), part


@pytest.mark.heavy
def test_cloud_init_accepts_the_autoinstall_file() -> None:
    reader = program("cloud-init", "cloud-init", install=True)
    result = run(reader, "schema", "--config-file", HTTP / "ubuntu" / "user-data")
    assert result.returncode == 0, result.stdout + result.stderr


def autoinstall() -> dict[str, object]:
    text = (HTTP / "ubuntu" / "user-data").read_text()
    assert text.startswith("#cloud-config\n")
    loaded = yaml.safe_load(text)
    assert list(loaded) == ["autoinstall"]
    answers = loaded["autoinstall"]
    assert isinstance(answers, dict)
    return answers


def test_the_autoinstall_keeps_subiquity_s_rules() -> None:
    answers = autoinstall()
    known = {
        *("version", "early-commands", "late-commands", "refresh-installer", "source"),
        *("locale", "keyboard", "timezone", "network", "proxy", "storage", "apt"),
        *("identity", "ssh", "packages", "updates", "shutdown"),
    }
    assert answers["version"] == 1
    assert set(answers) <= known
    identity = answers["identity"]
    assert isinstance(identity, dict)
    assert {"hostname", "username", "password"} <= set(identity)
    assert answers["updates"] in {"security", "all"}
    assert answers["shutdown"] in {"reboot", "poweroff"}


def test_the_autoinstall_s_commands_are_sound_shell(tmp_path: Path) -> None:
    answers = autoinstall()
    for name in ("early-commands", "late-commands"):
        commands = answers[name]
        assert isinstance(commands, list)
        script = tmp_path / f"{name}.sh"
        script.write_text("#!/bin/sh\n" + "\n".join(map(str, commands)) + "\n")
        result = run(VENV / "shellcheck", script)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_autoinstall_s_password_is_none_until_the_run_s_is_put_in(
    tmp_path: Path, firmware: str
) -> None:
    """The early command, run on the file as the installer writes it."""
    answers = autoinstall()
    identity = answers["identity"]
    commands = answers["early-commands"]
    assert isinstance(identity, dict)
    assert isinstance(commands, list)
    assert not str(identity["password"]).startswith("$")
    written = tmp_path / "autoinstall.yaml"
    written.write_text(yaml.safe_dump(answers))
    (tmp_path / "cmdline").write_text(
        "autoinstall asyncpipe.user=builder asyncpipe.hash=:6:salt:ha/sh."
        " asyncpipe.locale=fr_FR.UTF-8 asyncpipe.keyboard=fr asyncpipe.timezone=Europe/Paris"
        " asyncpipe.proxy=http://proxy.example:3128 asyncpipe.mirror=http://mirror.example/u"
        " asyncpipe.security=http://mirror.example/s ---\n"
    )
    script = str(commands[1])
    script = script.replace(
        "/sys/firmware/efi", str(tmp_path / ("no" if firmware == "bios" else ""))
    )
    script = script.replace("/proc/cmdline", str(tmp_path / "cmdline"))
    script = script.replace("/autoinstall.yaml", str(written))
    result = run("sh", "-c", script)
    assert result.returncode == 0, result.stderr
    changed = yaml.safe_load(written.read_text())
    assert changed["identity"]["password"] == "$6$salt$ha/sh."
    assert changed["identity"]["username"] == "builder"
    assert changed["locale"] == "fr_FR.UTF-8"
    assert changed["timezone"] == "Europe/Paris"
    assert changed["keyboard"] == {"layout": "fr"}
    assert changed["proxy"] == "http://proxy.example:3128"
    assert changed["apt"]["primary"][0]["uri"] == "http://mirror.example/u"
    assert changed["apt"]["security"][0]["uri"] == "http://mirror.example/s"
    devices = {item["id"]: item.get("grub_device") for item in changed["storage"]["config"]}
    assert (devices["disk"], devices["efi"]) == (firmware == "bios", firmware == "uefi")


def test_shellcheck_has_nothing_to_say() -> None:
    result = run(VENV / "shellcheck", "-x", *SCRIPTS)
    assert result.stdout == ""


def test_no_pipe_ends_in_a_grep_that_stops_reading() -> None:
    # Under pipefail its writer dies of SIGPIPE now and then: "found" reads as "not found".
    for script in SCRIPTS:
        text = re.sub(r"^ *#.*$", "", script.read_text(), flags=re.MULTILINE)
        assert re.findall(r"\|\s*grep [^|\n]*-[a-zA-Z]*q.*", text) == [], script


def test_the_scripts_are_formatted() -> None:
    result = run(VENV / "shfmt", "-i", "4", "-ci", "-d", *SCRIPTS)
    assert result.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_does_and_needs(script: Path) -> None:
    head = script.read_text().split("\n\n")[0]
    assert "# Does:" in head
    assert "# Needs:" in head


def test_the_answer_files_hold_no_password() -> None:
    for path in HTTP.rglob("*"):
        if path.is_file():
            assert not re.search(r"\$[156y]\$|\$2[aby]\$", path.read_text()), path
