"""How an image is started before it is relied on."""

from __future__ import annotations

import click

from asyncpipe.cli.options.command import options, setting
from asyncpipe.cli.options.values import DURATION, PATH, TEXT, OneOf
from asyncpipe.model.boot.result import BootHow

AT_HOST = options(
    setting(
        "boot_storage",
        "--boot-sr",
        variable="BOOT_SR",
        type=TEXT,
        metavar="NAME",
        section="Boot test",
        show_default="the pool's default",
        help="At a host: the storage repository of the machine, by name or uuid.",
    ),
    setting(
        "boot_network",
        "--boot-network",
        type=TEXT,
        metavar="NAME",
        section="Boot test",
        show_default="as the XVA says",
        help="At a host: the network of the machine, by name or uuid; it needs DHCP.",
    ),
    setting(
        "boot_ssh_port",
        "--boot-ssh-port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        section="Boot test",
        help="At a host: where the guest's SSH server listens.",
    ),
)
CHECK = options(
    setting(
        "boot_check",
        "--boot-check",
        type=PATH,
        metavar="SCRIPT",
        section="Boot test",
        help="A shell script that the started image has to end well (exit code 0).",
    ),
    setting(
        "boot_timeout_s",
        "--boot-timeout",
        type=DURATION,
        metavar="TIME",
        section="Boot test",
        show_default="10m, 40m in QEMU without KVM",
        help="How long the image may take until somebody can log in.",
    ),
)
TEST = options(
    setting(
        "boot_test",
        "--boot-test",
        type=OneOf(BootHow),
        section="Boot test",
        help="Start the image once and look at it before anybody sees it: qemu on this machine, "
        "host at the host that built it.",
    ),
    CHECK,
    AT_HOST,
)
