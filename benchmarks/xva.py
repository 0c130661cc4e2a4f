"""``python -m benchmarks.xva``: speed and memory of the XVA validator, writer and reader.

CPU seconds of the process (what the upload pays), median of several runs; bytes are those of the
file, for compressed ones those of the archive inside. Memory is the peak of a process of its own.
Before that, whole commands beside tar, xva-img (``apt install xva-img``) and qemu-img. At most four
times ``--size`` lie in ``--folder``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from asyncpipe.model.xva import Compression
from asyncpipe.xva.read.chunks import digest
from asyncpipe.xva.read.validator import XvaValidator
from asyncpipe.xva.write.records import VmSpec
from asyncpipe.xva.write.writer import RawSource, Sink, write_xva
from benchmarks._sources import DATE_UTC, MIB, export_of, parsed_size
from benchmarks._xva_programs import compare
from tests.xva import samples

RUNS = 5
PIECE = 8 * MIB

# Repeats one archive's chunks under ever higher numbers: any size from little memory and no disk.
MEMORY_CHILD = """
import os, pathlib, sys
from asyncpipe.xva.read.validator import XvaValidator
from benchmarks._sources import export_of
validator = XvaValidator()
buffer = bytearray(8 << 20)
filled = 0
for piece in export_of(int(sys.argv[1]), os.urandom(1 << 20)):
    if filled + len(piece) > len(buffer):
        with memoryview(buffer) as view:
            validator.feed(view[:filled])
        filled = 0
    buffer[filled : filled + len(piece)] = piece
    filled += len(piece)
validator.feed(bytes(buffer[:filled]))
report = validator.finish()
assert report.accepted, report.findings
status = pathlib.Path('/proc/self/status').read_text()
print(report.size_bytes, status.split('VmHWM:')[1].split()[0])
"""


def median_rate(
    size_bytes: int, run: Callable[[], object], runs: int = RUNS
) -> tuple[float, float]:
    """Return the median and the best of ``runs``, in GB per CPU second of this process."""
    rates = []
    for _ in range(runs):
        started = time.process_time()
        run()
        rates.append(size_bytes / (time.process_time() - started) / 1e9)
    return statistics.median(rates), max(rates)


def validate(data: bytes, piece_bytes: int) -> None:
    validator = XvaValidator()
    view = memoryview(data)
    for at in range(0, len(data), piece_bytes):
        validator.feed(view[at : at + piece_bytes])
    assert validator.finish().accepted


def mixed_disk(path: Path, size_bytes: int) -> None:
    """Half of it data that compresses somewhat, the rest holes, as a fresh system's disk."""
    words = [os.urandom(64) for _ in range(256)]
    with path.open("wb") as file:
        for at in range(0, size_bytes, 2 * MIB):
            file.seek(at)
            picks = os.urandom(MIB // 96)
            file.write(b"".join(words[p] + bytes([p]) * 32 for p in picks)[:MIB])
        file.truncate(size_bytes)


def row(what: str, rates: tuple[float, float]) -> None:
    print(f"| {what:<52} | {rates[0]:6.2f} | {rates[1]:6.2f} |")


def speeds(folder: Path, size_bytes: int) -> None:
    print(f"| {'GB per CPU second':<52} | median |   best |")
    print(f"|{'-' * 54}|--------|--------|")
    plain_speeds(size_bytes // 2)
    image = folder / "mixed.raw"
    mixed_disk(image, size_bytes)
    compressed_speeds(image, folder)
    for compression in Compression:
        runs = 1 if compression is Compression.GZIP else RUNS
        rates = median_rate(size_bytes, partial(to_null, image, compression), runs)
        row(f"create {compression}, bytes of the disk, half of it holes", rates)
    image.unlink()
    sparse = folder / "sparse.raw"
    with sparse.open("wb") as file:
        file.truncate(1024 * 1024 * MIB)
    started = time.perf_counter()
    to_null(sparse, Compression.NONE)
    print(f"\nAn empty disk of 1 TiB becomes an XVA in {time.perf_counter() - started:.3f} s.")


def plain_speeds(size_bytes: int) -> None:
    data = os.urandom(MIB)
    count = size_bytes // MIB
    hashing = median_rate(size_bytes, lambda: [digest(".xxhash", data) for _ in range(count)])
    row("XXH64 alone, for comparison", hashing)
    full = b"".join(export_of(size_bytes, data))
    for piece_bytes, name in ((64 * 1024, "64 KiB"), (MIB, "1 MiB"), (PIECE, "8 MiB")):
        rates = median_rate(len(full), partial(validate, full, piece_bytes))
        row(f"validate plain, XXH64, pieces of {name}", rates)
    del full
    disk = samples.disk("Ref:1", min(size_bytes, 256 * MIB), checksum="checksum")
    sha = samples.pack(samples.members_of([disk]))
    row(
        "validate plain, SHA-1, pieces of 8 MiB",
        median_rate(len(sha), partial(validate, sha, PIECE)),
    )


def compressed_speeds(image: Path, folder: Path) -> None:
    for compression in (Compression.ZSTD, Compression.GZIP):
        target = folder / f"a.{compression}"
        with target.open("wb") as out:
            chunk_bytes = write(image, out, compression)
        rates = median_rate(chunk_bytes, partial(validate, target.read_bytes(), PIECE))
        row(f"validate {compression}, bytes of the archive inside", rates)


def to_null(image: Path, compression: Compression) -> None:
    with Path(os.devnull).open("wb") as out:
        write(image, out, compression)


def write(image: Path, out: Sink, compression: Compression) -> int:
    source = RawSource(path=image, name="disk")
    vm = VmSpec(name="bench")
    written = write_xva(out, vm, [source], date_utc=DATE_UTC, compression=compression)
    return written.chunk_bytes


def memory() -> None:
    print("\n| plain XVA of | peak memory of the process |")
    print("|--------------|----------------------------|")
    for gib in (0.25, 1, 8):
        size_bytes = int(gib * 1024) * MIB
        done = subprocess.run(
            [sys.executable, "-c", MEMORY_CHILD, str(size_bytes)],
            check=True,
            capture_output=True,
            text=True,
        )
        read_bytes, peak_kib = map(int, done.stdout.split())
        print(f"| {read_bytes / 2**30:8.2f} GiB | {peak_kib / 1024:22.1f} MiB |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.xva", description=__doc__)
    parser.add_argument("--folder", type=Path, default=None, help="best on tmpfs")
    parser.add_argument("--size", type=parsed_size, default=parsed_size("1GiB"))
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {RUNS} runs each\n", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        compare(Path(name), arguments.size)
        print(flush=True)
        speeds(Path(name), arguments.size)
    memory()


if __name__ == "__main__":
    main()
