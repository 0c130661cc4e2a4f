"""``python -m benchmarks._writer TO DISK_BYTES BYTES_PER_S``: an export as by Packer's plugin.

In place and in order, 32 KiB at a time, at a rate. The disk is all zeroes, which become holes of
the file: an export of 16 GiB takes a few hundred MiB of a file system in memory. Prints the
monotonic time of its end, which all processes of the machine share.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks._sources import MIB, export_of

PIECE_BYTES = 32 * 1024


def write(target: Path, members: Iterable[bytes], bytes_per_s: float) -> float:
    began_s = time.monotonic()
    written_bytes = 0
    with target.open("wb", buffering=0) as writer:
        for member in members:
            is_hole = len(member) == MIB
            for start in range(0, len(member), PIECE_BYTES):
                piece = member[start : start + PIECE_BYTES]
                written_bytes += len(piece)
                if is_hole:
                    writer.truncate(written_bytes)
                else:
                    writer.seek(written_bytes - len(piece))
                    writer.write(piece)
                ahead_s = began_s + written_bytes / bytes_per_s - time.monotonic()
                if ahead_s > 0.002:
                    time.sleep(ahead_s)
    return time.monotonic()


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), export_of(int(sys.argv[2])), float(sys.argv[3])), flush=True)
    os._exit(0)  # the interpreter's own end is not what is measured
