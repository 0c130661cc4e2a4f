"""Heavy: what real trees lack, by the real archives, as `apt list --upgradable` says in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest

from asyncpipe.cli import main
from tests.provisioning.trees import Tree, bare_tree
from tests.updates.archives import Row, publish

pytestmark = pytest.mark.heavy

_DEBIAN = os.environ.get("ASYNCPIPE_TEST_DEBIAN_MIRROR", "http://deb.debian.org/debian")
_UBUNTU = os.environ.get("ASYNCPIPE_TEST_UBUNTU_MIRROR", "http://archive.ubuntu.com/ubuntu")
_SOURCES = {
    "bookworm": (
        f"deb {_DEBIAN} bookworm main\ndeb {_DEBIAN} bookworm-updates main\n"
        f"deb {_DEBIAN}-security bookworm-security main\n"
    ),
    "noble": "".join(
        f"deb {_UBUNTU} noble{pocket} main restricted universe multiverse\n"
        for pocket in ("", "-updates", "-security")
    ),
}
_OS = {
    "bookworm": ("debian12", {"type": "debian", "version": "12", "codename": "bookworm"}),
    "noble": ("ubuntu24.04", {"type": "ubuntu", "version": "24.04", "codename": "noble"}),
}
_KEYS = {"bookworm": "debian-archive-keyring.gpg", "noble": "ubuntu-archive-keyring.gpg"}


@pytest.mark.parametrize("suite", sorted(_SOURCES))
def test_outdated_names_what_apt_would_upgrade(
    suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """debootstrap leaves the updates of the release out: the tree is as old as its release."""
    tree = bare_tree(suite, tmp_path)
    installed, upgradable = _asked(tree, _SOURCES[suite])
    short_id, system = _OS[suite]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(tmp_path / "published"))
    monkeypatch.chdir(tmp_path)
    anyio.run(lambda: publish(tmp_path / "published", installed, short_id=short_id, os=system))
    keys = tree.root / "usr/share/keyrings" / _KEYS[suite]
    mirrors = (f"debian={_DEBIAN}", f"debian-security={_DEBIAN}-security", f"ubuntu={_UBUNTU}")
    options = [option for mirror in mirrors for option in ("--mirror", mirror)]
    code = main.run(["outdated", "--json", "--keyring", str(keys), *options])
    said = capsys.readouterr()
    (template,) = json.loads(said.out)["templates"]
    assert template["problem"] is None, said.err
    ours = {(one["name"], one["arch"], one["available"]) for one in template["packages"]}
    assert upgradable
    assert (code, sorted(ours)) == (65, sorted(upgradable))


def _asked(tree: Tree, sources: str) -> tuple[list[Row], set[Row]]:
    """The tree's packages, and (name, architecture, version) of what apt would upgrade."""
    tree.copy_scripts()  # the build's DNS too
    tree.write("etc/apt/sources.list", sources)
    updated = tree.run("apt-get", "-qq", "update")
    assert updated.returncode == 0, updated.stdout
    form = "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"
    listed = tree.run("dpkg-query", "-W", "-f", form).stdout.splitlines()
    rows = [line.split() for line in listed if line.startswith("installed ")]
    packages = [(name, version, arch) for _, name, version, arch in rows]
    apt = tree.run("apt", "list", "--upgradable").stdout.splitlines()
    found = [line.split() for line in apt if "[upgradable from:" in line]
    return packages, {(row[0].partition("/")[0], row[2], row[1]) for row in found}
