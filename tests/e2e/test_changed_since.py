"""``matrix --changed-since`` in a checkout of its own: what a change touches is built, no more."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e import forked
from tests.e2e.command import LIMIT_S, REPOSITORY, clean_environment

DEBIAN = {"debian-12", "debian-12-lvm", "debian-13", "debian-13-lvm", "qemu-debian-12"}
UBUNTU = {"ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"}
REDHAT = {
    *(f"{name}-{version}" for name in ("almalinux", "rocky") for version in (8, 9, 10)),
    *("centos-stream-10", "oracle-9", "oracle-10", "rhel-9", "rhel-10"),
}
ALL = DEBIAN | UBUNTU | REDHAT
# with those that a plan has to name
EVERY = ("templates", "templates/demo", "templates/qemu/debian-12")
IDENTITY = ("-c", "user.name=Tests", "-c", "user.email=tests@example.invalid")


class Checkout:
    """A git repository that holds the templates and scripts of this project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = clean_environment(folder) | {
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
        }

    def git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", *IDENTITY, *arguments],
            cwd=self.folder, env=self.environment, timeout=LIMIT_S, check=True,
        )  # fmt: skip

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")

    def append(self, name: str) -> None:
        file = self.folder / name
        with file.open("a") as stream:
            stream.write("\n# changed\n")

    def matrix(
        self, ref: str, templates: tuple[str, ...] = EVERY
    ) -> subprocess.CompletedProcess[str]:
        return forked.run(
            ["matrix", "--changed-since", ref, *templates],
            folder=self.folder,
            environment=self.environment,
            limit_s=LIMIT_S,
        )

    def picked(self, ref: str = "HEAD~1", templates: tuple[str, ...] = EVERY) -> set[str]:
        done = self.matrix(ref, templates)
        assert done.returncode == 0, done.stderr
        return {unit for runner in json.loads(done.stdout) for unit in runner["units"]}


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("origin") / "checkout"
    for name in ("templates", "provisioning", "docs"):
        shutil.copytree(REPOSITORY / name, folder / name, symlinks=True)
    origin = Checkout(folder)
    origin.git("init", "--quiet")
    origin.commit()
    return folder


@pytest.fixture
def checkout(committed: Path, tmp_path: Path) -> Checkout:
    """A fresh copy: a test may do to it what it likes."""
    folder = tmp_path / "checkout"
    shutil.copytree(committed, folder, symlinks=True)
    return Checkout(folder)


@pytest.mark.parametrize(
    ("file", "units"),
    [
        ("provisioning/debian/debian_specific.sh", DEBIAN | UBUNTU),
        ("provisioning/debian/new.sh", DEBIAN | UBUNTU),
        ("provisioning/redhat/redhat_specific.sh", REDHAT),
        ("provisioning/common/lib.sh", ALL),
        ("provisioning/xen/install_xen_tools.sh", ALL),
        ("provisioning/provision.sh", ALL),
        ("templates/common/redhat.hcl", REDHAT),
        ("templates/common/ubuntu.hcl", UBUNTU),
        ("templates/common/xenserver.hcl", ALL - {"qemu-debian-12"}),
        ("templates/common/disk-to-xva.sh", {"qemu-debian-12"}),
        ("templates/common/http/debian/preseed.cfg", DEBIAN),
        ("templates/common/http/late.sh", ALL),
        ("templates/common/http/both_firmwares.sh", ALL),
        ("templates/rocky/9/template.pkr.hcl", {"rocky-9"}),
        ("templates/demo/install.sh", {"demo"}),
    ],
)
def test_a_changed_file_builds_exactly_what_uses_it(
    checkout: Checkout, file: str, units: set[str]
) -> None:
    checkout.append(file)
    checkout.commit()
    assert checkout.picked() == units


def test_a_plan_leaves_out_what_is_not_for_production(checkout: Checkout) -> None:
    checkout.append("provisioning/common/lib.sh")
    checkout.append("templates/demo/install.sh")
    checkout.commit()
    done = checkout.matrix("HEAD~1", ("templates",))
    units = {unit for runner in json.loads(done.stdout) for unit in runner["units"]}
    assert units == ALL - {"qemu-debian-12"}
    assert "Left out, not for production: templates/demo, templates/qemu/debian-12." in done.stderr


def test_documents_build_nothing(checkout: Checkout) -> None:
    for name in ("docs/templates.md", "README.md", "templates/README.md", "provisioning/README.md"):
        checkout.append(name)
    checkout.commit()
    assert checkout.matrix("HEAD~1").stdout == "[]\n"


def test_a_script_that_is_gone_counts_by_its_name(checkout: Checkout) -> None:
    checkout.append("provisioning/redhat/extra.sh")
    checkout.commit()
    checkout.git("rm", "--quiet", "provisioning/redhat/extra.sh")
    checkout.commit()
    assert checkout.picked() == REDHAT


def test_a_script_named_outright_that_is_gone_counts_too(checkout: Checkout) -> None:
    checkout.git("rm", "--quiet", "provisioning/provision.sh", "templates/common/disk-to-xva.sh")
    checkout.commit()
    assert checkout.picked() == ALL


def test_a_script_that_moves_counts_where_it_was_and_where_it_is(checkout: Checkout) -> None:
    checkout.append("provisioning/redhat/extra.sh")
    checkout.commit()
    checkout.git("mv", "provisioning/redhat/extra.sh", "provisioning/debian/extra.sh")
    checkout.commit()
    assert checkout.picked() == ALL


def test_a_new_template_with_its_links_builds_itself_alone(checkout: Checkout) -> None:
    shutil.copytree(
        checkout.folder / "templates/debian/13", checkout.folder / "templates/debian/14",
        symlinks=True,
    )  # fmt: skip
    file = checkout.folder / "templates/debian/14/template.pkr.hcl"
    text = file.read_text("utf-8")
    file.write_text(text.replace('os_version     = "13"', 'os_version     = "14"'), "utf-8")
    checkout.commit()
    assert checkout.picked() == {"debian-14"}


def test_a_copy_that_would_publish_to_its_originals_place_is_refused(checkout: Checkout) -> None:
    shutil.copytree(
        checkout.folder / "templates/debian/13", checkout.folder / "templates/debian/14",
        symlinks=True,
    )  # fmt: skip
    checkout.commit()
    done = checkout.matrix("HEAD~1")
    assert done.returncode == 2
    both = "templates/debian/13 and templates/debian/14 would both publish to templates/debian13."
    assert both in done.stderr


def test_what_is_not_committed_counts_once_git_knows_the_file(checkout: Checkout) -> None:
    checkout.append("provisioning/debian/debian_specific.sh")
    checkout.append("provisioning/redhat/not_added.sh")
    assert checkout.picked("HEAD") == DEBIAN | UBUNTU


def test_templates_in_one_folder_are_told_apart(checkout: Checkout) -> None:
    folder = checkout.folder / "templates/single"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.pkr.hcl").write_text(
            f'source "null" "{name}" {{ communicator = "none" }}\n'
            f'build {{ sources = ["null.{name}"] }}\n'
        )
    checkout.commit()
    checkout.append("templates/single/one.pkr.hcl")
    files = ("templates/single/one.pkr.hcl", "templates/single/two.pkr.hcl")
    assert checkout.picked("HEAD", files) == {"single-one"}


def test_a_commit_that_is_not_there_is_a_mistake_of_the_caller(checkout: Checkout) -> None:
    done = checkout.matrix("nosuch")
    assert done.returncode == 2
    assert "does not know the commit" in done.stderr
