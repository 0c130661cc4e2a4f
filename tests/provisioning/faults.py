"""Faults put into a finished tree, and what ``verify_image.sh`` says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.provisioning.trees import Tree

Undo = Callable[[], object]
Make = Callable[[Tree], Undo]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A change to a finished tree, and the message of the verification that names it."""

    path: str
    make: Make
    named: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is wrong in a tree, and the file that it is in."""

    path: str
    make: Make


def fault(change: Change, named: str) -> Fault:
    return Fault(path=change.path, make=change.make, named=named)


def batches(faults: Iterable[Fault]) -> list[list[Fault]]:
    """Faults to be put in together: none hides another, as two in one folder may."""
    found: list[dict[str, Fault]] = []
    for one in faults:
        folder = str(Path(one.path).parent)
        free = next((batch for batch in found if folder not in batch), None)
        if free is None:
            found.append(free := {})
        free[folder] = one
    return [list(batch.values()) for batch in found]


def new_file(path: str, text: str = "x\n") -> Change:
    def make(tree: Tree) -> Undo:
        return tree.write(path, text, 0o600).unlink

    return Change(path=path, make=make)


def edit(path: str, old: str, new: str) -> Change:
    def make(tree: Tree) -> Undo:
        file = tree.root / path
        before = file.read_text()
        assert old in before
        file.chmod(0o644)
        file.write_text(before.replace(old, new, 1))
        return lambda: file.write_text(before)

    return Change(path=path, make=make)


def away(path: str) -> Change:
    def make(tree: Tree) -> Undo:
        file = tree.root / path
        kept = tree.root / f"kept-aside-{file.name}"
        file.rename(kept)
        return lambda: kept.rename(file)

    return Change(path=path, make=make)


def content(path: str, text: str) -> Change:
    def make(tree: Tree) -> Undo:
        file = tree.root / path
        before = file.read_bytes() if file.exists() else None
        file.write_text(text)
        return file.unlink if before is None else lambda: file.write_bytes(before)

    return Change(path=path, make=make)


def disabled(unit: str) -> Change:
    def make(tree: Tree) -> Undo:
        assert tree.run("systemctl", "--quiet", "disable", unit).returncode == 0
        return lambda: tree.run("systemctl", "--quiet", "enable", unit)

    return Change(path=f"etc/systemd/system/{unit}", make=make)


def own_file(path: str, text: str) -> Change:
    """A file in place of a link, or of nothing."""

    def make(tree: Tree) -> Undo:
        file = tree.root / path
        target = file.readlink() if file.is_symlink() else None
        file.unlink(missing_ok=True)
        tree.write(path, text)

        def undo() -> None:
            file.unlink()
            if target is not None:
                file.symlink_to(target)

        return undo

    return Change(path=path, make=make)


def cloud_init(text: str) -> Change:
    """A file of cloud-init's that is read after the templates' own."""
    return new_file("etc/cloud/cloud.cfg.d/99-zzz.cfg", f"{text}\n")


def last_sysctl(text: str) -> Change:
    """A file of sysctl's that is read after the templates' own."""
    return new_file("etc/sysctl.d/99-zzz.conf", f"{text}\n")
