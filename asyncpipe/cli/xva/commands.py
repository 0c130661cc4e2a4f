"""``asyncpipe verify``, ``inspect``, ``extract`` and ``xva create``: XVA files by hand."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
from click.core import ParameterSource

from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command
from asyncpipe.cli.options.signature import TRUST
from asyncpipe.cli.options.values import SIZE
from asyncpipe.cli.progress import Progress
from asyncpipe.cli.xva.show import name_of, print_report, print_vm, print_vm_json
from asyncpipe.errors import AsyncpipeError, UsageError, XvaInvalidError
from asyncpipe.model.xva import ANY_COMPRESSION
from asyncpipe.system.qemu_img import FORMATS, RAW, convert, find_converter, format_of
from asyncpipe.text.format import size_text

if TYPE_CHECKING:
    from asyncpipe.model.xva import XvaReport
    from asyncpipe.xva.write.writer import Sink


class _Taker(Protocol):
    @property
    def rejected(self) -> bool: ...

    def feed(self, data: memoryview) -> None: ...


# -- verify -------------------------------------------------------------------------------------


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE|URL|NAME...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line.")
@click.option("--allow-metadata-only", is_flag=True, help="Accept exports without disk data.")
@click.option(
    "--signature", is_flag=True, help="Check the signature, and all it covers, of version NAME."
)
@TRUST
@shared.DESTINATION
@shared.STORE
def verify(
    files: tuple[str, ...],
    *,
    as_json: bool,
    allow_metadata_only: bool,
    signature: bool,
    **given: Any,
) -> int:
    """Check XVA files whole: local, http(s):// or s3://; "-" is standard input.

    Ends with 0 when all are accepted (warnings included), 31 when one is rejected. With
    --signature it is a published version, NAME[:CHANNEL|@TIMESTAMP], and a signature that is
    missing or wrong ends with 44.
    """
    if not signature:
        _refuse_unused_trust()
    else:
        return _verify_signatures(files, {**given, "as_json": as_json})
    code = 0
    for url in files:
        try:
            report = _verified(url, allow_metadata_only=allow_metadata_only)
        except AsyncpipeError as error:
            if len(files) == 1:
                raise
            click.echo(f"asyncpipe: {error.message} {error.hint}".rstrip(), err=True)
            code = code or error.exit_code
            continue
        print_report(url, report, as_json=as_json)
        code = code if report.accepted else XvaInvalidError.exit_code
    return code


def _refuse_unused_trust() -> None:
    """A file has no signature; a variable that names a key for all commands does no harm."""
    context = click.get_current_context()
    for name in ("keys", "identity"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                "--key and --identity check a version's signature: add --signature.",
                hint="asyncpipe verify NAME --signature --key FILE",
            )


def _verify_signatures(names: tuple[str, ...], given: dict[str, Any]) -> int:
    from asyncpipe.cli.catalog import actions

    for name in names:
        actions.run("verify", {**given, "template": name})
    return 0


def _verified(url: str, *, allow_metadata_only: bool) -> XvaReport:
    import anyio

    from asyncpipe.xva.read.validator import XvaValidator

    validator = XvaValidator(allow_metadata_only=allow_metadata_only, digest_of=ANY_COMPRESSION)
    anyio.run(_pump, url, validator)
    return validator.finish()


async def _pump(url: str, taker: _Taker) -> None:
    """Feed the source to ``taker`` off the event loop, as long as more can change the verdict."""
    import anyio.to_thread

    from asyncpipe.cli.xva.source import open_source

    async with open_source(url) as source, aclosing(source.pieces) as pieces:
        shown = Progress(source.name, source.size_bytes)
        done_bytes = 0
        try:
            async for piece in pieces:
                await anyio.to_thread.run_sync(taker.feed, piece)
                done_bytes += len(piece)
                shown.update(done_bytes)
                if taker.rejected:
                    break
        finally:
            shown.clear()


# -- inspect and extract ------------------------------------------------------------------------


@click.command()
@click.argument("file", metavar="FILE|URL")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--digest", is_flag=True, help="Read the whole XVA for its content's SHA-256.")
def inspect(file: str, *, as_json: bool, digest: bool) -> None:
    """Print the VM and the disks of an XVA; reads its description only, verifies nothing else."""
    import anyio

    head = _Head(whole=digest)
    anyio.run(_pump, file, head)
    report = head.validator.finish()
    if head.validator.facts is None or (digest and report.rejection is not None):
        raise XvaInvalidError(f"{name_of(file)} is not valid: {report.rejection}")
    if as_json:
        print_vm_json(file, report)
    else:
        print_vm(report)


class _Head:
    """Reads until ova.xml is known, or to the end."""

    def __init__(self, *, whole: bool) -> None:
        from asyncpipe.xva.read.validator import XvaValidator

        self._whole = whole
        self.validator = XvaValidator(digest_of=ANY_COMPRESSION if whole else ())

    @property
    def rejected(self) -> bool:
        known = self.validator.facts is not None and not self._whole
        return self.validator.rejected or known

    def feed(self, data: memoryview) -> None:
        self.validator.feed(data)


@click.command()
@click.argument("file", metavar="FILE|URL")
@click.option("--disk", type=click.IntRange(min=0), default=0, help="Its number [0].")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="All but raw need qemu-img.  [default: by the name of --output, else raw]",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE")
def extract(file: str, disk: int, format_: str | None, output: Path) -> None:
    """Write a disk of an XVA as a sparse file; the XVA is verified on the way.

    qcow2, vhd and vmdk are made from the raw disk, which needs room beside the output meanwhile.
    """
    format_ = format_ or format_of(output)
    if format_ == RAW:
        report = _extract_raw(file, disk, output)
    else:
        report = _extract_converted(file, disk, output, format_)
    found = report.disks[disk]
    size, data = size_text(found.virtual_size_bytes), size_text(found.data_bytes)
    click.echo(
        f"{output}: {size}, {data} of it data, from disk {disk} ({found.name}) of the XVA with"
        f" content sha256:{report.content_sha256_hex}",
        err=True,
    )


def _extract_raw(file: str, disk: int, output: Path) -> XvaReport:
    import anyio

    from asyncpipe.xva.read.reader import DiskExtractor

    with DiskExtractor(output, disk=disk) as extractor:
        anyio.run(_pump, file, extractor)
        return extractor.finish()


def _extract_converted(file: str, disk: int, output: Path, format_: str) -> XvaReport:
    """Let nothing be seen under the output's name before it is whole."""
    program = find_converter()
    _refuse_existing(output)
    try:
        folder = tempfile.TemporaryDirectory(prefix=".asyncpipe-", dir=output.absolute().parent)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.") from error
    with folder as name:
        raw, made = Path(name) / "disk.raw", Path(name) / output.name
        report = _extract_raw(file, disk, raw)
        convert(program, raw, made, format_)
        _refuse_existing(output)
        made.rename(output)
    return report


def _refuse_existing(output: Path) -> None:
    if output.exists() or output.is_symlink():
        raise UsageError(
            f"{output} exists and is not overwritten.", hint="Name another file with -o."
        )


# -- create -------------------------------------------------------------------------------------


@click.group()
def xva() -> None:
    """Make XVA files from raw disks."""


@xva.command()
@click.option("--name", required=True, help="Name of the VM.")
@click.option("--description", default="", help="What it is.")
@click.option("--vcpus", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--memory", "memory_bytes", type=SIZE, default="1GiB", show_default=True)
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default="bios", show_default=True)
@click.option("--template", "is_template", is_flag=True, help="Import as a template, not a VM.")
@click.option("--network", "networks", multiple=True, metavar="NAME", help="Add an interface.")
@click.option(
    "--disk", "disks", multiple=True, metavar="RAW[,NAME]", help="A raw image, in boot order."
)
@click.option("-o", "--output", required=True, metavar="XVA", help='A new file, or "-".')
@click.option("--compress", type=click.Choice(["none", "zstd", "gzip"]), default="none")
@click.option(
    "--limit-rate", "rate_bytes_per_s", type=SIZE, metavar="SIZE", help="Bytes per second."
)
def create(disks: tuple[str, ...], output: str, compress: str, **options: Any) -> None:
    """Write an XVA from raw disk images in one streaming pass (experimental).

    Zeroes and holes of the images become gaps; every chunk gets an XXH64 checksum.
    """
    from asyncpipe.model.xva import Compression
    from asyncpipe.xva.write.records import VmSpec
    from asyncpipe.xva.write.writer import RawSource, write_xva

    rate_bytes_per_s = options.pop("rate_bytes_per_s")
    spec = VmSpec(networks=tuple(options.pop("networks")), **options)
    sources = [RawSource(path=path, name=name) for path, name in map(_disk_argument, disks)]
    shown = Progress(output, None)

    def write(sink: Sink) -> None:
        limited = _Limited(sink, rate_bytes_per_s) if rate_bytes_per_s else sink
        date_utc = time.strftime("%Y%m%dT%H:%M:%SZ", time.gmtime())
        write_xva(
            limited,
            spec,
            sources,
            date_utc=date_utc,
            compression=Compression(compress),
            progress=shown.update_of,
        )

    try:
        _write_output(output, write)
    finally:
        shown.clear()


def _disk_argument(text: str) -> tuple[Path, str]:
    """Split ``RAW[,NAME]``; a file whose own name has a comma is taken as it is."""
    path, comma, name = text.rpartition(",")
    if not comma or Path(text).exists():
        return Path(text), Path(text).stem
    return Path(path), name or Path(path).stem


def _write_output(output: str, write: Any) -> None:
    if output == "-":
        if sys.stdout.isatty():
            raise UsageError("An XVA is not for a terminal.", hint="Name a file with -o.")
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise UsageError(
            f"{output} exists and is not overwritten.", hint="Name another file with -o."
        ) from error
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.") from error
    try:
        with file:
            write(file)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"{output} cannot be written: {error.strerror}.") from error
        raise


class _Limited:
    """A sink that takes no more bytes per second than it may."""

    def __init__(self, sink: Sink, rate_bytes_per_s: int) -> None:
        self._sink = sink
        self._rate_bytes_per_s = rate_bytes_per_s
        self._started_s = time.monotonic()
        self._sent_bytes = 0

    def write(self, data: bytes | memoryview, /) -> None:
        self._sink.write(data)
        self._sent_bytes += len(data)
        due_s = self._sent_bytes / self._rate_bytes_per_s
        time.sleep(max(0.0, due_s - (time.monotonic() - self._started_s)))
