"""Lynis (Debian's package) in trees of each system: a stronger profile never scores less.

A tree is not started, so that Lynis sees neither services nor the kernel's values of a clone: the
figures compare profiles with each other. They are kept in the tests' cache as ``lynis-SUITE.json``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.provisioning.trees import Tree, debian_tree
from tests.templates.needs import cache_dir

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(7200)]

_PROFILES = ("minimal", "baseline", "strict")
_HARDENING = ("common/harden_system.sh", "common/harden_ssh.sh")


@pytest.fixture(params=["bookworm", "trixie", "noble"])
def tree(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tree]:
    folder = tmp_path_factory.mktemp("lynis")
    yield debian_tree(request.param, folder)
    shutil.rmtree(folder)


def index(tree: Tree) -> int:
    """The hardening index, 0 to 100."""
    report = tree.root / "var/log/lynis-report.dat"
    report.unlink(missing_ok=True)
    audit = ("lynis", "audit", "system", "--quick", "--quiet", "--no-colors")
    result = replace(tree, timeout_s=5400).run(*audit)
    found = re.search(r"^hardening_index=(\d+)$", report.read_text(), re.MULTILINE)
    assert found, result.stdout[-2000:]
    return int(found[1])


def test_a_stronger_profile_has_no_lower_index(tree: Tree) -> None:
    for phase in ("update", "configure"):
        result = tree.provision(phase, HARDENING_PROFILE="minimal")
        assert result.returncode == 0, result.stdout[-3000:]
    tree.copy_scripts()  # with the resolver, which is systemd's by now
    installed = tree.run(
        *("apt-get", "--quiet", "--yes", "-o", "Acquire::Retries=3", "install", "lynis")
    )
    assert installed.returncode == 0, installed.stdout[-2000:]
    version = tree.run("dpkg-query", "-W", "-f", "${Version}", "lynis").stdout
    indexes = {"minimal": index(tree)}
    for profile in _PROFILES[1:]:
        for script in _HARDENING:
            result = tree.script(script, HARDENING_PROFILE=profile)
            assert result.returncode == 0, result.stdout[-3000:]
        indexes[profile] = index(tree)
    kept = {"lynis": version, **indexes}
    (cache_dir() / f"lynis-{tree.root.name}.json").write_text(json.dumps(kept))
    assert list(indexes.values()) == sorted(indexes.values()), indexes
