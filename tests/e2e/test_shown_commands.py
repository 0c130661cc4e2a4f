"""Every command that README and documents show, run: each in a folder where the demo is published.

What asks a host is run by tests/host/test_hosts_page.py, against the stand-in for XAPI;
`iso-check`, which asks vendors, and what is `outdated`, which asks archives, by their own tests
against a mirror on this machine; what boots a machine by tests/boot_test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from asyncpipe.cli.main import run
from tests.docs.test_commands import SHOWN, words_of
from tests.e2e import forked
from tests.e2e.command import LIMIT_S, Desk, needs_packer

pytestmark = [pytest.mark.real_packer, needs_packer]

# What a page calls by a name -> what has that name here.
NAMES = {
    "templates/debian/12": "templates/demo",
    "templates/debian/13": "templates/demo",
    "templates/debian/14": "templates/demo",
    "templates/debian": "templates/demo",
    "templates/rocky/9": "templates/demo",
    "templates/qemu/debian-12": "templates/demo",
    "debian12": "PUBLISHED",
    "TEMPLATE": "PUBLISHED",
    "BEFORE": "PUBLISHED@TIMESTAMP",
    "AFTER": "PUBLISHED",
    "RUN": "last",
    "NAME": "stable",
    "CHANNEL": "stable",
    "REF": "HEAD",
    "VERSION": "",
    "FILE": "demo.xva",
    "PATH": "debian-12.9.0-amd64-netinst.iso",
}
OF_TEMPLATES = {  # commands whose TEMPLATE is a folder
    name: NAMES | {"TEMPLATE": "templates/demo", "debian12": "debian12"}
    for name in ("build", "check", "matrix", "detect")
} | {
    "recompress": NAMES | {"NAME": "PUBLISHED"},
    "init": NAMES | {"NAME": "debian/12"},
    "key": NAMES | {"release.key": "another.key"},
}
PLACES = {"s3://images/xcp": "published", "s3://images-eu/xcp": "other", "/mnt/disk": "disk"}
AFTER = {"--key": "release.key.pub", "--signing-key": "release.key"}
# Lines that are the subject of a sentence: without what they need they end so.
ENDS: dict[tuple[str, ...], int] = {
    ("packer", "install", "1.11.2"): 2,  # no network here
    ("build",): 2,
    ("check",): 2,
    ("publish", "demo.xva"): 2,  # which system?
    ("promote", "debian12-demo", "--channel", "stable", "--require", "boot-test"): 2,  # it had none
    **{(name,): 2 for name in ("mirror", "expire", "revoke", "promote", "rollback", "history")},
    **{(name,): 2 for name in ("publish", "show", "diff")},
    ("url", "debian12-demo", "--expires", "12h"): 2,  # a folder has no address
    ("page", "-o", "demo.xva", "--publish"): 2,  # one or the other
}
INCOMPLETE = {"pull", "import", "reap --run", "verify", "xva create", "host list", "host trust"}


def lines() -> Iterator[list[str]]:
    """Every shown line once, as words of ours."""
    seen = set()
    for _, line in SHOWN:
        program, *words = words_of(line)
        if program.endswith("build-template"):
            words = ["build", *words]
        if not words:
            continue
        text = " ".join(words)
        asks = words[0] in {"host", "import", "iso-check", "outdated"} or "--outdated" in words
        boots = words[0] == "boot-test" or {"--boot-test", "--boot-check"} & set(words)
        elsewhere = asks or boots or {"COMMAND", "--follow"} & set(words)
        if text in seen or text in INCOMPLETE or elsewhere:
            continue
        seen.add(text)
        yield words


def meant(words: list[str], built: Path) -> list[str]:
    """The words with what stands in this folder."""
    known = OF_TEMPLATES.get(words[0], NAMES)
    latest, *_ = built.glob("published/templates/*/latest.json")
    times = sorted(path.name for path in latest.parent.iterdir() if path.name[:2] == "20")
    found = []
    for before, word in pairwise(["", *words]):
        if given := PLACES.get(word) or AFTER.get(before):
            found.append(given)
            continue
        first, mark, rest = re.fullmatch(r"([^:@]*)([:@]?)(.*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
        text = known.get(first, first) + mark + (known.get(rest, rest) if mark else "")
        text = text.replace("PUBLISHED", latest.parent.name).replace("TIMESTAMP", times[0])
        found.append(text)
    return [word for word in found if word]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the demo was built twice, one version is stable, one XVA is there."""
    folder = tmp_path_factory.mktemp("shown")
    desk = Desk(folder)
    for command in ("init -q", "add .", "commit -qm x", "commit -qm y --allow-empty"):
        git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *command.split()]
        subprocess.run(git, cwd=folder, check=True)
    assert desk.run("key", "new", "-o", "release.key").code == 0
    quick = ("-var", "seconds=0", "-var", "size_mib=4", "--signing-key", "release.key")
    for _ in range(2):
        ended = desk.run("build", "templates/demo", *quick)
        assert ended.code == 0, ended.all
        (name,) = {path.parent.name for path in folder.glob("published/templates/*/latest.json")}
        assert desk.run("channel", "set", f"{name}:stable", "latest").code == 0
    xva, _ = folder.glob("published/templates/*/*/*.xva")
    for copy in ("demo.xva", "mine.xva", "vm.xva", "debian12.xva", "exported.xva"):
        shutil.copy(xva, folder / copy)
    for disk in ("disk.raw", "root.raw", "data.raw"):
        with (folder / disk).open("wb") as file:
            file.truncate(1024 * 1024)
    return folder


@pytest.mark.parametrize("words", list(lines()), ids=" ".join)
def test_a_shown_command_runs(
    words: list[str],
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = tmp_path / "x"
    shutil.copytree(built, here, symlinks=True)
    for lock in here.rglob("run.lock"):
        lock.unlink()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ASYNCPIPE_PACKER_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("PKR_VAR_seconds", "0")
    monkeypatch.setenv("PKR_VAR_size_mib", "4")
    if words[0] == "matrix":  # the demo is left out unless it is named
        monkeypatch.setenv("ASYNCPIPE_TEMPLATES", "templates/demo")
    ours = meant(words, built)
    if "-o" in ours:  # nothing is overwritten
        Path(ours[ours.index("-o") + 1]).unlink(missing_ok=True)
    if ours[0] == "build" and "--dry-run" not in ours:  # freezes the collector of its process
        done = forked.run(ours, folder=here, environment=os.environ, limit_s=LIMIT_S)
        code, said = done.returncode, done.stdout + done.stderr
    else:
        code, said = run(ours), str(capsys.readouterr())
    assert code == ENDS.get(tuple(ours), 0), (ours, said)
