"""What the host says of a build that is to come: login, role, template, storage, networks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import anyio

from asyncpipe.errors import (
    AsyncpipeError,
    HostAccessDeniedError,
    HostUnreachableError,
    HostUntrustedError,
    PackerFailedError,
    leaf_of,
)
from asyncpipe.host.endpoint import endpoint_of
from asyncpipe.host.refusals import ROLE_HINT
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.model.host import HostAccess, HostVdi, PoolFacts, StorageRepository
from asyncpipe.model.template import TemplateSource, Value
from asyncpipe.ports import Pool
from asyncpipe.preflight.verdict import failure
from asyncpipe.text.format import size_text
from asyncpipe.text.safe import printable

OpenPool = Callable[[HostAccess], AbstractAsyncContextManager[Pool]]
SizeOf = Callable[[str], Awaitable[int | None]]  # of an ISO image by its URL or path

_LIMIT_S: Final = 40.0  # for all questions to one host
_SSH_S: Final = 5.0
_CLOCK_S: Final = 60.0
_MIB: Final = 1024**2
# https://github.com/vatesfr/packer-plugin-xenserver: clone_template, disk_size (MB)
_DEFAULT_TEMPLATE: Final = "Other install media"
_DEFAULT_DISK_MIB: Final = 40000
# what the plugin and the clean-up call, as RBAC names them
_RIGHTS: Final = ("vm.clone", "vm.start", "vm.destroy", "vdi.create", "vdi.destroy", "vbd.create")


async def check_hosts(
    plans: Sequence[BuildPlan],
    access_of: Callable[[BuildPlan], HostAccess | None],
    open_pool: OpenPool,
    size_of: SizeOf,
) -> tuple[CheckResult, ...]:
    """Ask each host once about all that will be built on it, all hosts at the same time."""
    groups: dict[HostAccess, list[BuildPlan]] = {}
    results: list[CheckResult] = []
    for plan in plans:
        access = access_of(plan)
        if access is not None:
            groups.setdefault(access, []).append(plan)
        elif _sources(plan):
            results.append(_not_asked(plan))
    found: dict[HostAccess, list[CheckResult]] = {}

    async def ask(access: HostAccess) -> None:
        found[access] = await _check_host(access, groups[access], open_pool, size_of)

    async with anyio.create_task_group() as tasks:
        for access in groups:
            tasks.start_soon(ask, access)
    return (*results, *(result for access in groups for result in found[access]))


async def _check_host(
    access: HostAccess, plans: Sequence[BuildPlan], open_pool: OpenPool, size_of: SizeOf
) -> list[CheckResult]:
    results: list[CheckResult] = []
    try:
        with anyio.fail_after(_LIMIT_S):
            async with open_pool(access) as pool:
                facts = await pool.facts()
                results += [_login(access, facts), *_role(access, facts), *_clock(facts)]
                for plan in plans:
                    look = _Look(access=access, plan=plan, pool=pool, facts=facts, size_of=size_of)
                    results += await look.results()
    except TimeoutError:
        text = f"{access.address} did not answer everything within {_LIMIT_S:g} s."
        results.append(failure("host", HostUnreachableError(text)))
    except Exception as error:
        leaf = leaf_of(error)
        if not isinstance(leaf, AsyncpipeError):
            raise
        results.append(_refused(access, leaf))
    return results


def _refused(access: HostAccess, error: AsyncpipeError) -> CheckResult:
    """A host that nobody vouches for is not asked; the plugin takes any certificate."""
    if not isinstance(error, HostUntrustedError) or access.trust.ca_file is not None:
        return failure("host", error)
    return CheckResult(
        name="host",
        status=CheckStatus.WARN,
        message=f"not asked: {printable(error.message, 500)}",
        hint=printable(error.hint, 500),
    )


def _not_asked(plan: BuildPlan) -> CheckResult:
    return CheckResult(
        name="host",
        unit=plan.unit,
        status=CheckStatus.WARN,
        message="not asked: host, user or password are not known before the build",
    )


def _login(access: HostAccess, facts: PoolFacts) -> CheckResult:
    if facts.master != facts.asked:
        return CheckResult(
            name="host",
            status=CheckStatus.FAIL,
            message=f"{facts.asked} is not the master of its pool; Packer's plugin cannot log in.",
            hint=f"Name the master: PKR_VAR_remote_host={facts.master}",
            exit_code=PackerFailedError.exit_code,
        )
    return CheckResult(
        name="host",
        status=CheckStatus.OK,
        message=f"{facts.asked}: {facts.product} {facts.host_name!r}, "
        f"logged in as {printable(access.username, 100)}",
    )


def _role(access: HostAccess, facts: PoolFacts) -> Iterator[CheckResult]:
    missing = [right for right in _RIGHTS if right not in (facts.permissions or _RIGHTS)]
    if missing:
        yield CheckResult(
            name="role",
            status=CheckStatus.FAIL,
            message=f"The role of {printable(access.username, 100)} does not allow "
            f"{', '.join(missing)}.",
            hint=ROLE_HINT,
            exit_code=HostAccessDeniedError.exit_code,
        )


def _clock(facts: PoolFacts) -> Iterator[CheckResult]:
    if abs(facts.clock_offset_s) > _CLOCK_S:
        how = "ahead of" if facts.clock_offset_s > 0 else "behind"
        yield CheckResult(
            name="clock",
            status=CheckStatus.WARN,
            message=f"The clock of {facts.asked} is {abs(facts.clock_offset_s):.0f} s {how} ours.",
            hint="Guests start with the host's time; certificates and packages may seem invalid.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One unit's questions."""

    access: HostAccess
    plan: BuildPlan
    pool: Pool
    facts: PoolFacts
    size_of: SizeOf

    async def results(self) -> list[CheckResult]:
        problems: list[CheckResult] = []
        for source in _sources(self.plan):
            problems += [*await self._storage(source), *self._networks(source)]
            problems += [*await self._template(source), *await self._iso(source)]
            problems += await self._ssh(source)
        if any(problem.status is CheckStatus.FAIL for problem in problems):
            return problems
        default = next((one for one in self.facts.storage if one.is_default), None)
        room = f", {size_text(default.free_bytes)} free on {default.name!r}" if default else ""
        fine = CheckResult(
            name="on-host",
            unit=self.plan.unit,
            status=CheckStatus.OK,
            message=f"template, storage and networks are there{room}",
        )
        return [fine, *problems]

    def _problem(
        self, name: str, message: str, hint: str = "", *, only_warn: bool = False
    ) -> CheckResult:
        return CheckResult(
            name=name,
            unit=self.plan.unit,
            status=CheckStatus.WARN if only_warn else CheckStatus.FAIL,
            message=message,
            hint=hint,
            exit_code=0 if only_warn else PackerFailedError.exit_code,
        )

    async def _template(self, source: TemplateSource) -> list[CheckResult]:
        name = _text(source, "clone_template", _DEFAULT_TEMPLATE)
        if name is None:
            return []
        found = [vm for vm in await self.pool.vms(name=name) if vm.is_template]
        if found:
            return []
        hint = "xe template-list params=name-label shows those there are."
        return [self._problem("clone-template", f"There is no template {name!r}.", hint)]

    async def _storage(self, source: TemplateSource) -> list[CheckResult]:
        problems: list[CheckResult] = []
        disks, isos = _text(source, "sr_name", ""), _text(source, "sr_iso_name", "")
        if disks is not None:
            sizes = _disk_sizes_mib(source.attributes)
            problems += self._repository("sr_name", disks, sum(sizes) * _MIB)
        if isos is not None:
            url = "" if _text(source, "iso_name", "") else next(iter(_iso_urls(source)), "")
            size_bytes = await self.size_of(url) if url else None
            problems += self._repository("sr_iso_name", isos, size_bytes or 0)
        return problems

    def _repository(self, setting: str, name: str, need_bytes: int) -> Iterator[CheckResult]:
        storage = self.facts.storage
        found = [one for one in storage if (one.name == name if name else one.is_default)]
        names = ", ".join(sorted(one.name for one in storage))
        if not found:
            what = f"no storage repository {name!r}" if name else "no default storage repository"
            yield self._problem("storage", f"There is {what} ({setting}).", f"There are: {names}")
        elif len(found) > 1:
            yield self._problem("storage", f"There are {len(found)} called {name!r} ({setting}).")
        elif found[0].free_bytes < need_bytes or not found[0].free_bytes:
            yield self._full(setting, found[0], need_bytes)

    def _full(self, setting: str, storage: StorageRepository, need_bytes: int) -> CheckResult:
        free, is_iso = size_text(storage.free_bytes), setting == "sr_iso_name"
        what = "the ISO image has" if is_iso else "the disks have"
        message = f"{storage.name!r} has {free} free, {what} {size_text(need_bytes)}."
        hint = f"Free some (asyncpipe reap removes what is ours), or name another {setting}."
        only_warn = storage.is_thin and storage.free_bytes > 0 and not is_iso
        return self._problem("storage", message, hint, only_warn=only_warn)

    def _networks(self, source: TemplateSource) -> Iterator[CheckResult]:
        for setting in ("network_names", "export_network_names"):
            for name in _texts(source.attributes.get(setting)):
                count = self.facts.networks.count(name)
                if count == 1:
                    continue
                message = f"There is no network {name!r} ({setting})."
                if count:
                    message = f"There are {count} networks {name!r} ({setting})."
                hint = f"There are: {', '.join(self.facts.networks)}"
                yield self._problem("network", message, hint)

    async def _iso(self, source: TemplateSource) -> list[CheckResult]:
        name = _text(source, "iso_name", "")
        if name:
            count = len(await self.pool.vdis(name=name))
            how = "no ISO image" if not count else f"{count} images called"
            hint = "xe vdi-list shows them; on an ISO repository: xe sr-scan."
            return [] if count == 1 else [self._problem("iso", f"There is {how} {name!r}.", hint)]
        urls = _iso_urls(source)
        taken = await self._taken(urls[0]) if name is not None and urls else []
        return [
            self._problem(
                "iso",
                f"An image {vdi.name!r} ({size_text(vdi.virtual_size_bytes)}) is there already: "
                "Packer takes it as it is, and removes it after the build.",
                "If it is not from this template's iso_url, rename it or name it as iso_name.",
                only_warn=True,
            )
            for vdi in taken
        ]

    async def _taken(self, url: str) -> Sequence[HostVdi]:
        base = PurePosixPath(unquote(urlsplit(url).path)).name
        return await self.pool.vdis(name=base) if base else []

    async def _ssh(self, source: TemplateSource) -> list[CheckResult]:
        """The plugin reaches the guest, and learns the console's address, through dom0's SSH."""
        plain = _text(source, "communicator", "ssh") == "none"
        if plain and not source.attributes.get("boot_command"):
            return []
        host, port = endpoint_of(self.facts.master).host, self.access.ssh_port
        try:
            with anyio.fail_after(_SSH_S):
                stream = await anyio.connect_tcp(host, port)
                await anyio.aclose_forcefully(stream)
        except (OSError, TimeoutError):
            hint = "Open it on the host, or set remote_ssh_port."
            return [self._problem("ssh", f"dom0's SSH does not answer at {host}:{port}.", hint)]
        return []


def _sources(plan: BuildPlan) -> list[TemplateSource]:
    return [one for one in plan.template.sources if one.type.startswith("xenserver")]


def _text(source: TemplateSource, name: str, default: str) -> str | None:
    """A setting as text; None when it cannot be known before the build."""
    value = source.attributes.get(name)
    if value is None or value == "":
        return default
    return value if isinstance(value, str) else None


def _texts(value: Value) -> list[str]:
    several = value if isinstance(value, list) else [value]
    return [one for one in several if isinstance(one, str) and one]


def _iso_urls(source: TemplateSource) -> list[str]:
    one, several = source.attributes.get("iso_url"), source.attributes.get("iso_urls")
    return _texts(one) or _texts(several)


def _disk_sizes_mib(attributes: Mapping[str, Value]) -> list[int]:
    disks = attributes.get("disks")
    entries = [
        one for one in (disks if isinstance(disks, list) else [disks]) if isinstance(one, dict)
    ]
    found = [entry.get("disk_size", _DEFAULT_DISK_MIB) for entry in entries or [dict(attributes)]]
    return [int(size) for size in found if isinstance(size, int | float) and size > 0]
