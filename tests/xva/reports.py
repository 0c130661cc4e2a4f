"""What is said of damaged files, at which byte, and of good ones.

``python -m tests.xva.reports`` writes ``data/`` anew; look at what changed before it is committed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from asyncpipe.model.xva import report_to_dict
from asyncpipe.xva.read.validator import validate
from tests.xva.damage import ALL
from tests.xva.samples import MIB, compress, disk, members_of, pack

REJECTIONS = Path(__file__).parent / "data" / "rejections.txt"
GOOD = Path(__file__).parent / "data" / "good.json"


def rejections() -> str:
    """A line for each damaged file."""
    lines = []
    for damage in ALL:
        found = validate(damage.data).rejection
        assert found is not None
        member = f" in {found.member}" if found.member else ""
        lines.append(
            f"{damage}: {found.code} at byte {found.offset_bytes}{member}: {found.message}"
        )
    return "\n".join(lines) + "\n"


def good_files() -> dict[str, bytes]:
    """A file with gaps, keep-alive chunks, zeros and two kinds of checksum, wrapped and not."""
    first = disk("Ref:1", 4 * MIB + 512, {0, 2, 4}, checksum="xxhash")
    other = disk("Ref:10", MIB + 1024, None, checksum="checksum")
    plain = pack(
        members_of(
            [
                replace(first, keep_alive_before={2: 2, 4: 1}),
                replace(other, chunks={**other.chunks, 1: bytes(1024)}),
            ]
        )
    )
    return {
        "plain": plain,
        "padded": plain + bytes(-len(plain) % 10240),
        "gzip": compress(plain, "gzip"),
        "zstd": compress(plain, "zstd"),
        "without disks": pack(members_of([])),
    }


def good() -> str:
    """The reports on them, as JSON; how small a compressor gets a file is its own affair."""
    reports = {name: report_to_dict(validate(data)) for name, data in good_files().items()}
    for name in ("gzip", "zstd"):
        del reports[name]["size_bytes"]
    return json.dumps(reports, indent=1) + "\n"


if __name__ == "__main__":
    REJECTIONS.write_text(rejections())
    GOOD.write_text(good())
