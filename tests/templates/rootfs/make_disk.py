"""``python -m tests.templates.rootfs.make_disk DISK``: a provisioned Debian 12 as a raw disk.

Prints what the provisioning prints, the evidence last. Needs root, the Debian mirror, and the
repository as the current folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.provisioning.trees import Tree, debian_tree

DISK_MIB = 2048
START_MIB = 1


def main() -> int:
    disk = Path(sys.argv[1])
    disk.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = debian_tree("bookworm", Path(folder))
        for phase in ("update", "configure", "finish"):
            result = tree.provision(phase)
            sys.stdout.write(result.stdout)
            sys.stdout.flush()
            if result.returncode:
                return result.returncode
        write_disk(tree, disk)
    return 0


def write_disk(tree: Tree, disk: Path) -> None:
    """One partition with one ext4 file system, last on the disk as in the templates."""
    with disk.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    subprocess.run(
        ["/sbin/sfdisk", "--quiet", str(disk)],
        input=f"label: gpt\nstart={START_MIB}MiB, type=linux\n",
        text=True,
        check=True,
    )
    size = f"{DISK_MIB - START_MIB - 1}M"
    offset = f"offset={START_MIB << 20}"
    command = ["/sbin/mkfs.ext4", "-q", "-E", offset, "-d", str(tree.root), str(disk), size]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    raise SystemExit(main())
