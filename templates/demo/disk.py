"""Write a disk that is data from end to end, quickly, and the same one for the same size."""

import random
import sys
from pathlib import Path

MIB = 1 << 20
REPORTS = 10


def main(path: str, size_mib: int) -> None:
    """Write ``size_mib`` MiB; each is the same noise with its own number in front."""
    noise = random.Random(0).randbytes(MIB - 8)  # noqa: S311 - it stands for data, not for secrets
    with Path(path).open("xb") as disk:
        for number in range(size_mib):
            disk.write(number.to_bytes(8, "big") + noise)
            done_mib = number + 1
            if done_mib * REPORTS // size_mib > number * REPORTS // size_mib:
                percent = done_mib * 100 // size_mib
                print(f"Disk: {done_mib} of {size_mib} MiB ({percent}%)", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
