"""``python -m benchmarks._copier FROM TO BYTES_PER_S``: a file as Packer's plugin exports it.

In place and in order, 32 KiB at a time, at a rate. Prints the monotonic time of its end, which
all processes of the machine share.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PIECE_BYTES = 32 * 1024


def write(source: Path, target: Path, bytes_per_s: float) -> float:
    began_s = time.monotonic()
    written_bytes = 0
    with source.open("rb") as reader, target.open("wb", buffering=0) as writer:
        while piece := reader.read(PIECE_BYTES):
            writer.write(piece)
            written_bytes += len(piece)
            ahead_s = began_s + written_bytes / bytes_per_s - time.monotonic()
            if ahead_s > 0.002:
                time.sleep(ahead_s)
    return time.monotonic()


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])), flush=True)
    os._exit(0)  # the interpreter's own end is not what is measured
