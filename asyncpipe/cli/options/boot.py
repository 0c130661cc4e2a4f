"""How an image is started before it is relied on."""

from __future__ import annotations

from asyncpipe.cli.options.command import options, setting
from asyncpipe.cli.options.values import DURATION, PATH, OneOf
from asyncpipe.model.boot.result import BootHow

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
        show_default="10m with KVM, 40m without",
        help="How long the image may take until somebody can log in.",
    ),
)
TEST = options(
    setting(
        "boot_test",
        "--boot-test",
        type=OneOf(BootHow),
        section="Boot test",
        help="Start the image once and look at it before anybody sees it: qemu on this machine.",
    ),
    CHECK,
)
