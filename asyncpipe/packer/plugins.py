"""The plugins that a template requires: which are missing, and `packer init` to install them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.packer.locate import packer_command
from asyncpipe.packer.release.constraint import satisfies
from asyncpipe.ports import ProcessRunner
from asyncpipe.system.capture import capture
from asyncpipe.text.safe import printable, without_escapes

_LIST_S: Final = 30.0
_INIT_S: Final = 600.0  # xenserver's plugin has 20 MB
# .../github.com/vatesfr/xenserver/packer-plugin-xenserver_v0.11.4_x5.0_linux_amd64
_BINARY: Final = re.compile(r"([^/\s]+/[^/\s]+/[^/\s]+)/packer-plugin-[^/\s]*?_v([^/_\s]+)_x")


class PluginsMissingError(UsageError):
    """A required plugin is not installed, and could not or may not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One entry of a template's ``required_plugins``."""

    source: str  # github.com/vatesfr/xenserver
    constraint: str  # "~> 0.11.4", "" for any

    def __str__(self) -> str:
        return printable(f"{self.source} {self.constraint}".strip(), 200)


async def missing_plugins(plan: BuildPlan, runner: ProcessRunner) -> tuple[Plugin, ...]:
    """Ask Packer which of the required plugins it lacks, or has in another version."""
    required = plan.template.required_plugins
    if not required:
        return ()
    answer = await capture(runner, packer_command(plan, "plugins", "installed"), timeout_s=_LIST_S)
    found = _BINARY.findall(answer.text) if answer.return_code == 0 else []
    return tuple(
        Plugin(source=source, constraint=constraint)
        for source, constraint in sorted(required.items())
        if not any(name == source and satisfies(version, constraint) for name, version in found)
    )


async def install_plugins(
    plan: BuildPlan,
    plugins: tuple[Plugin, ...],
    runner: ProcessRunner,
    redact: Callable[[str], str],
) -> None:
    """Let `packer init` install what ``plugins`` lack.

    Raises:
        PluginsMissingError: it could not.
    """
    command = packer_command(plan, "init", str(plan.template.path))
    answer = await capture(runner, command, timeout_s=_INIT_S)
    if answer.return_code == 0:
        return
    lines = [line.strip(" \t*") for line in without_escapes(answer.text).splitlines()]
    why = next((line for line in lines if ": " in line), "it gave no answer")
    raise PluginsMissingError(
        f"packer init could not install {_listed(plugins)}: {printable(redact(why), 300)}",
        hint=f"{plan.packer_path} looks in {folder_of(plan.packer_environment)}. Without a "
        f"network copy that folder from a machine where this worked: "
        f"{plan.packer_path} init {plan.template.path}",
    )


def refused(plan: BuildPlan, plugins: tuple[Plugin, ...]) -> PluginsMissingError:
    """What is wrong when `packer init` may not run."""
    return PluginsMissingError(
        f"Packer has no {_listed(plugins)} in {folder_of(plan.packer_environment)}.",
        hint=f"Run: {plan.packer_path} init {plan.template.path}, or leave out --no-init.",
    )


def folder_of(environment: Mapping[str, str]) -> Path:
    """Where Packer looks for plugins (packer-plugin-sdk, pathing/config_file_unix.go)."""
    if environment.get("PACKER_PLUGIN_PATH"):
        return Path(environment["PACKER_PLUGIN_PATH"])
    if environment.get("PACKER_CONFIG_DIR"):
        return Path(environment["PACKER_CONFIG_DIR"], ".packer.d/plugins")
    home = Path(environment.get("HOME") or "~")
    if (home / ".packer.d").exists():
        return home / ".packer.d/plugins"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "packer/plugins")


def _listed(plugins: tuple[Plugin, ...]) -> str:
    return ", ".join(map(str, plugins))
