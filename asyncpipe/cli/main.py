"""The composition root's door: which command, and how an error becomes words and an exit code.

Only the command that runs is imported, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import click

from asyncpipe import __version__
from asyncpipe.cli import gc, step
from asyncpipe.errors import (
    EXIT_CANCELLED,
    EXIT_UNEXPECTED,
    MEANINGS,
    AsyncpipeError,
    TemplateError,
    UsageError,
    leaf_of,
)

_MAX_LINES = 200  # of an error's words
_MAX_WHAT_CHARS = 2000  # of an error that is not ours

# name -> (module, attribute, what --help says)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "init": ("starter", "init", "Lay our templates and a CI workflow into your repository."),
    "update": ("starter", "update", "Show what a newer asyncpipe would change in them."),
    "build": ("build", "build", "Build templates with Packer and publish them."),
    "check": ("check", "check", "Look for what would make a build fail, in seconds."),
    "packer": ("packer", "packer", "Install HashiCorp's Packer for this user, checked."),
    "iso-check": ("iso_check", "iso_check", "Compare the ISOs of templates with their vendors'."),
    "detect": ("detect", "detect", "Name operating system and version of templates and ISOs."),
    "matrix": ("matrix", "matrix", "Print the plan of many builds as JSON, for a CI matrix."),
    "publish": ("publish", "publish", "Verify and publish an XVA that is already there."),
    "boot-test": ("boot.commands", "boot_test", "Start an image and look at it, as a clone."),
    "verify": ("xva.commands", "verify", "Check XVA files: local, http(s):// or s3://."),
    "inspect": ("xva.commands", "inspect", "Print the VM and the disks of an XVA."),
    "extract": ("xva.commands", "extract", "Write a disk of an XVA: raw, qcow2, VHD, VMDK."),
    "xva": ("xva.commands", "xva", "Make XVA files from raw disks."),
    "list": ("catalog.commands", "list_", "List what is published."),
    "latest": ("catalog.commands", "latest", "Print the newest version of a template."),
    "show": ("catalog.commands", "show", "Show everything about a published version."),
    "diff": ("catalog.commands", "diff", "Show what changed between two versions."),
    "logs": ("catalog.commands", "logs", "Print a build log."),
    "sbom": ("catalog.commands", "sbom", "Print a bill of materials (CycloneDX, SPDX)."),
    "outdated": ("outdated.commands", "outdated", "Show which templates lack updates, and why."),
    "pull": ("catalog.commands", "pull", "Fetch a published XVA, verified."),
    "recompress": ("catalog.recompress", "recompress", "Publish a version again, compressed."),
    "url": ("catalog.commands", "url", "Print an address that fetches an XVA for a while."),
    "import": ("host.commands", "import_", "Stream a published XVA into a host."),
    "host": ("host.commands", "host", "Trust hosts; see which version of ours they have."),
    "promote": ("catalog.commands", "promote", "Let a channel name a version."),
    "rollback": ("catalog.commands", "rollback", "Let a channel name what it named before."),
    "revoke": ("catalog.commands", "revoke", "Take a bad version back."),
    "expire": ("catalog.commands", "expire", "Give a version an end."),
    "history": ("catalog.commands", "history", "Show who moved the channels, and why."),
    "channel": ("catalog.commands", "channel", "Name a version (stable, testing ...)."),
    "prune": ("catalog.commands", "prune", "Remove old versions."),
    "mirror": ("catalog.mirroring", "mirror", "Copy what is published to another destination."),
    "index": ("catalog.commands", "index", "Rebuild or repair the catalogue."),
    "page": ("catalog.commands", "page", "Write the catalogue as a page for people."),
    "key": ("signing.commands", "key", "Make the keys that sign what is published."),
    "completion": ("completion", "completion", "Print the completion script of a shell."),
    "reap": ("reap", "reap", "Clean up what interrupted runs left behind."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(
            importlib.import_module(f"asyncpipe.cli.{module}"), attribute
        )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a name like the one that does not exist."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(args[0], possibilities=list(COMMANDS), ctx=ctx) from error

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in MEANINGS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="asyncpipe")
@click.option("--debug", is_flag=True, help="Show tracebacks of failures.")
@click.pass_context
def asyncpipe(ctx: click.Context, debug: bool) -> None:  # noqa: ARG001, FBT001 - click's
    """Build XCP-ng/XenServer templates with Packer, verify the XVA, publish to S3."""
    if ctx.obj is True:  # see ``run``
        _hide_secrets()


def main() -> None:
    """Run the command line and exit with its code."""
    _open_what_is_closed()
    _guard_output()
    gc.begin()
    arguments: list[str] = sys.argv[1:]
    debug = "--debug" in arguments or bool(os.environ.get("ASYNCPIPE_DEBUG"))
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # __main__.py had its own
    for number in (signal.SIGTERM, signal.SIGHUP):  # end a command as Ctrl-C does: it cleans up
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    code = run(arguments, debug=debug, owns_process=True)
    gc.leave()
    sys.exit(code)


def _open_what_is_closed() -> None:
    """Let a closed stdin, stdout or stderr be /dev/null: else the next file opened is it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)  # noqa: FBT003 - Packer gets one too
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115 - till the end
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115


def _guard_output() -> None:
    """Nothing that a command prints acts on a terminal, nor as a command on GitHub's runner.

    A stderr that takes nothing more fails no command: that is where failures are written.
    """
    from asyncpipe.report.safe_stream import forgiving, guarded

    github = os.environ.get("GITHUB_ACTIONS") == "true"
    sys.stdout = guarded(sys.stdout, github=github)
    sys.stderr = forgiving(sys.stderr, github=github)


def _hide_secrets() -> None:
    """Before any command, and so before its first child: no process may read our secrets."""
    from asyncpipe.system import environment
    from asyncpipe.text.secrets import is_secret_name, is_withheld

    for refused in environment.hide(lambda name: is_secret_name(name) or is_withheld(name)):
        _say(f"asyncpipe: {refused}")


def run(arguments: list[str], *, debug: bool = False, owns_process: bool = False) -> int:
    """Run one command line; returns the exit code.

    Args:
        arguments: of the command line.
        debug: a failure's traceback comes too.
        owns_process: nothing else runs in this process, so it may be closed to others' looks.
    """
    if "_ASYNCPIPE_COMPLETE" in os.environ:
        from asyncpipe.cli import completion  # noqa: F401 - registers our bash
    # --debug may stand anywhere: people add it at the end of the line they just ran
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        result: Any = asyncpipe.main(
            args=arguments, prog_name="asyncpipe", standalone_mode=False, obj=owns_process
        )
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("asyncpipe: interrupted")
        return EXIT_CANCELLED
    except click.ClickException as error:
        error.show(file=sys.stderr)
        step.failed(_command(arguments), _masked(error.format_message()), "", error.exit_code)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 -- every failure gets its sentence and its code
        if debug:
            _say("".join(traceback.format_exception(error)))
        return _explain(leaf_of(error), _command(arguments))
    return result if isinstance(result, int) else 0


def _command(arguments: list[str]) -> str:
    return next((argument for argument in arguments if argument in COMMANDS), "")


def _explain(error: BaseException, command: str) -> int:
    if isinstance(error, BrokenPipeError):  # somebody closed the pipe we print to: no words
        _drop_output()
        return EXIT_UNEXPECTED
    message, hint, exit_code = _words_of(error)
    _say(f"asyncpipe: {message}")
    if hint:
        _say(f"  {hint}")
    place = (error.file, error.line) if isinstance(error, TemplateError) else ("", None)
    step.failed(command, _masked(message), _masked(hint), exit_code, file=place[0], line=place[1])
    return exit_code


def _words_of(error: BaseException) -> tuple[str, str, int]:
    """What happened, what to do, and the exit code."""
    if isinstance(error, AsyncpipeError):
        return error.message, error.hint, error.exit_code
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        if not error.filename:
            _drop_output()
        what = f"{error.filename or 'The output'}: {error.strerror}."
        return what, "Free some space where it goes.", UsageError.exit_code
    what = f"unexpected error: {type(error).__name__}: {error}"[:_MAX_WHAT_CHARS]
    hint = "This is a defect; please report it with the output of the same command with --debug."
    return what, hint, EXIT_UNEXPECTED


def _drop_output() -> None:
    """What is still buffered for an output that takes no more would fail again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """Write to stderr, without the secrets that the environment holds or that show as such."""
    click.echo(_masked(text), err=True)


def _masked(text: str) -> str:
    from asyncpipe.text import mask
    from asyncpipe.text.safe import clean
    from asyncpipe.text.secrets import secrets_of

    text = mask.text("\n".join(text.split("\n")[:_MAX_LINES]), secrets_of(os.environ, {}))
    return "\n".join(map(clean, text.split("\n")))
