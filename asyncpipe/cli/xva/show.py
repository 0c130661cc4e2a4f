"""What the XVA commands show: reports, VMs, and a line of progress on a terminal."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import click

from asyncpipe.model.xva import XvaReport, report_to_dict
from asyncpipe.text.format import counted, size_text
from asyncpipe.text.safe import printable


def name_of(url: str) -> str:
    """Return what may be printed: neither user information nor the query of a URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "s3"}:
        return printable(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def print_report(url: str, report: XvaReport, *, as_json: bool) -> None:
    """Print the verdict on one file for people, or as one line of JSON."""
    name = name_of(url)
    if as_json:
        click.echo(json.dumps({"file": name, **report_to_dict(report)}, ensure_ascii=False))
        return
    if report.rejection is not None:
        click.echo(f"{name}: REJECTED {report.rejection}")
    else:
        click.echo(f"{name}: accepted, {_summary(report)}")
    for warning in report.warnings:
        click.echo(f"{name}: warning {warning}")


def _summary(report: XvaReport) -> str:
    kind = report.compression.value if report.compression else "none"
    sum_kind = f" ({report.checksum.value})" if report.checksum else ""
    return (
        f'{size_text(report.size_bytes)}, compression {kind}, VM "{report.vm_name}", '
        f"{counted(len(report.disks), 'disk')}, "
        f"{counted(report.chunks_verified, 'chunk')} verified{sum_kind}, "
        f"imports into xapi {report.xapi_version} and later, {_content(report)}"
    )


def _content(report: XvaReport) -> str:
    """What is in it, however it is compressed."""
    used = f"{size_text(report.used_bytes)} of {size_text(report.virtual_size_bytes)} used"
    return f"{used}, content sha256:{report.content_sha256_hex}"


def print_vm_json(url: str, report: XvaReport) -> None:
    """Print what the description says as one JSON object."""
    known = report_to_dict(report)
    kept: tuple[str, ...] = (
        "compression",
        "vm",
        "disk_count",
        "networks",
        "product_brand",
        "product_version",
    )
    disks = [
        {"number": number, "name": disk.name, "virtual_size_bytes": disk.virtual_size_bytes}
        for number, disk in enumerate(report.disks)
    ]
    if report.content_sha256_hex is not None:
        kept = (*kept, "size_bytes", "unpacked_bytes", "content_sha256_hex")
    shown = {key: known[key] for key in (*kept, "xapi_version")} | {
        "disks": disks,
        "loaded_drives": list(report.loaded_drives),
    }
    click.echo(json.dumps({"file": name_of(url), **shown}, ensure_ascii=False))


def print_vm(report: XvaReport) -> None:
    """Print what the description says for people."""
    memory = size_text(report.memory_bytes) if report.memory_bytes else "unknown"
    firmware = report.firmware or "not stated"
    click.echo(f"VM       {report.vm_name}")
    if report.vm_description:
        click.echo(f"         {report.vm_description}")
    click.echo(f"Machine  {report.vcpus} vCPU, {memory} of memory, firmware {firmware}")
    version = f"{report.product_brand} {report.product_version}, xapi {report.xapi_version}"
    click.echo(f"From     {version} (a host with an older xapi refuses the import)")
    for network in report.networks:
        click.echo(f"Network  {network}")
    for image in report.loaded_drives:
        click.echo(f"CD       {image} (not in the XVA: eject it after the import)")
    if report.content_sha256_hex is not None:
        content = f"{size_text(report.unpacked_bytes)}, sha256:{report.content_sha256_hex}"
        click.echo(f"Content  {content}")
    for number, disk in enumerate(report.disks):
        click.echo(f"Disk {number:<3} {size_text(disk.virtual_size_bytes):>10}  {disk.name}")
