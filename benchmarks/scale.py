"""CPU and memory against the size of a file and against the number of files at once.

``python -m benchmarks.scale --endpoint http://127.0.0.1:9100 --sizes 1GiB,4GiB,16GiB,64GiB
--templates 1,4,16 --plots docs/images``. The files are sparse: they take no room, but every byte
is read, digested (SHA-256, CRC64NVME) and sent. "First done after" is the share of the time until
the last of several files was done: near 1 they have shared the link evenly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._plot import Series, svg_of
from benchmarks._sources import MIB, make_sparse, parsed_size
from benchmarks.upload import machine, run_child


def main() -> None:
    arguments = parsed_arguments()
    print(f"\n{machine()}\n")
    sizes = [parsed_size(text) for text in arguments.sizes.split(",") if text]
    by_size = [measured(arguments, size_bytes, 1) for size_bytes in sizes]
    counts = [int(text) for text in arguments.templates.split(",") if text]
    by_count = [measured(arguments, arguments.each, count) for count in counts]
    gibs = [size_bytes / 1024 / MIB for size_bytes in sizes]
    print_table("size GiB", gibs, by_size)
    print_table("files at once", counts, by_count)
    if arguments.plots is not None:
        draw(arguments.plots, "size", "size of the file, GiB", gibs, by_size)
        draw(arguments.plots, "templates", "files at once", counts, by_count)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--sizes", default="1GiB,4GiB,16GiB,64GiB")
    parser.add_argument("--templates", default="1,2,4,8,16")
    parser.add_argument("--each", type=parsed_size, default=parsed_size("1GiB"))
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--profile", default="aws")
    parser.add_argument("--plots", type=Path, default=None, help="folder for SVG files")
    return parser.parse_args()


def measured(arguments: argparse.Namespace, size_bytes: int, copies: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        job = {
            "endpoint": arguments.endpoint,
            "bucket": arguments.bucket,
            "key": f"scale/{size_bytes}-{copies}",
            "path": str(make_sparse(Path(folder) / "sparse", size_bytes)),
            "profile": arguments.profile,
            "copies": copies,
        }
        found = run_child("asyncpipe-many", job)
    found["gib"] = size_bytes * copies / 1024 / MIB
    print(f"{size_bytes} bytes x {copies}: {found}", file=sys.stderr)
    return found


def print_table(title: str, values: Sequence[float], runs: Sequence[dict[str, float]]) -> None:
    print(
        f"| {title} | wall s | CPU s | CPU s per GiB | peak MiB | threads | descriptors"
        " | first done after |\n|---|---|---|---|---|---|---|---|"
    )
    for value, run in zip(values, runs, strict=True):
        per_gib_s = (run["cpu_s"] - run["imports_s"]) / run["gib"]
        print(
            f"| {value:g} | {run['wall_s']:.1f} | {run['cpu_s']:.1f} | {per_gib_s:.2f}"
            f" | {run['peak_mib']:.0f} | {run['threads']:.0f} | {run['descriptors']:.0f}"
            f" | {run['first_done']:.2f} |"
        )
    print()


def draw(
    folder: Path, name: str, title: str, values: Sequence[float], runs: Sequence[dict[str, float]]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for column, unit in (("cpu_s", "CPU s"), ("peak_mib", "peak MiB")):
        series = Series(
            title=f"{unit} against {title}",
            points=[(value, run[column]) for value, run in zip(values, runs, strict=True)],
        )
        path = folder / f"scale-{name}-{column.partition('_')[0]}.svg"
        path.write_text(svg_of(series), encoding="utf-8")


if __name__ == "__main__":
    main()
