"""``python -m benchmarks._copier FROM TO BYTES_PER_S``: a file as Packer's plugin exports it."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from benchmarks._writer import PIECE_BYTES, write

if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as reader:
        pieces = iter(partial(reader.read, PIECE_BYTES), b"")
        print(write(Path(sys.argv[2]), pieces, float(sys.argv[3])), flush=True)
    os._exit(0)  # the interpreter's own end is not what is measured
