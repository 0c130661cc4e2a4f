"""What a run was asked to do, and the default of everything that can be asked.

``cli/options.py`` defines each option: its name, variable and help. Here is its value's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from asyncpipe.errors import UsageError
from asyncpipe.model.boot.result import BootHow
from asyncpipe.model.run import (
    GRACE_S,
    HOST_ANSWER_S,
    KEEP_FAILED_S,
    ChatFormat,
    OnError,
    Trust,
)
from asyncpipe.model.store import StoreOptions
from asyncpipe.model.transfer import TransferOptions, Zstd

# In a step that the runner cancels, SIGTERM follows after 7.5 s and SIGKILL 2.5 s later
# (actions/runner, ProcessInvoker): the grace has to fit, with time left to seal the log.
GRACE_ON_GITHUB_S = 4.0
_LEAST_CONNECTIONS = 32
_PAIRS = ("variables", "tags")  # repeated NAME=VALUE options


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was asked to do."""

    templates: tuple[str, ...] = ()
    destination: str = "published"
    work_directory: Path = Path(".asyncpipe")
    packer: str | None = None
    no_init: bool = False  # plugins that are missing stay missing
    var_files: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)  # -var: visible in argv, no secrets
    only: tuple[str, ...] = ()  # globs of builds
    except_: tuple[str, ...] = ()
    packer_environment: tuple[str, ...] = ()  # names (globs) passed to Packer though withheld
    os: str | None = None
    os_version: str | None = None
    variant: str | None = None  # None: what the template declares
    lifetime_s: float | None = None  # of each version, from its timestamp on; None: never
    strict_identity: bool = False
    take_over: bool = False  # places that other templates fill
    boot_test: BootHow = BootHow.OFF
    boot_check: Path | None = None  # a script that the started image has to end well
    boot_timeout_s: float | None = None  # None: what is usual with KVM, or without
    boot_storage: str | None = None  # of the host, by name or uuid; None: the pool's default
    boot_network: str | None = None  # of the host, by name or uuid; None: as the XVA says
    boot_ssh_port: int = 22  # of the guest; what QEMU forwards is always 22
    grace_s: float = GRACE_S
    build_timeout_s: float | None = None
    host_timeout_s: float = HOST_ANSWER_S  # for the host's first answer
    on_error: OnError = OnError.CLEANUP
    keep_failed_s: float = KEEP_FAILED_S
    jobs: int = 1
    fail_fast: bool = False
    retries: int = 0
    zstd: Zstd | None = None  # None: XVAs are stored as they are exported
    eager: bool | None = None  # None: on for S3, off for a local folder
    keep_xva: bool = False
    dry_run: bool = False
    resume: str | None = None  # a run's folder
    rebuild: bool = False  # in a re-run of a workflow: also what an earlier attempt published
    page: bool = False  # the page of the catalogue is written again
    simplestreams: bool = False  # and the view under streams/v1/
    signing_key: Path | None = None  # None: ASYNCPIPE_SIGNING_KEY may hold a key
    keyless: bool = False  # sign as the identity of the CI run
    parent: str | None = None  # the published version that the templates are built from
    report: Path | None = None
    webhook_url: str | None = field(default=None, repr=False)
    webhook_format: ChatFormat = ChatFormat.AUTO
    log_format: str = "text"  # or "json"
    verbosity: int = 0  # -1 quiet .. 1 verbose
    transfer: TransferOptions = field(default_factory=TransferOptions)
    store: StoreOptions = field(default_factory=StoreOptions)
    host_trust: Trust = field(default_factory=Trust)
    on_github: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, options: Mapping[str, Any], *, environment: Mapping[str, str]) -> Settings:
        """Sort the typed values of a command's options into settings; those it lacks keep defaults.

        Raises:
            UsageError: options that make no sense together.
            TypeError: a name that no setting has.
        """
        rest: dict[str, Any] = {
            name: dict(value) if name in _PAIRS else value
            for name, value in options.items()
            if value is not None
        }
        # more parts in flight need as many connections
        connections = max(_LEAST_CONNECTIONS, rest.get("concurrency", 0))
        transfer: dict[str, Any] = {
            one.name: rest.pop(one.name) for one in _given(TransferOptions, rest)
        }
        store: dict[str, Any] = {one.name: rest.pop(one.name) for one in _given(StoreOptions, rest)}
        trust: dict[str, Any] = {one.name: rest.pop(one.name) for one in _given(Trust, rest)}
        if ("lock_mode" in store) != ("lock_until_utc" in store):
            raise UsageError(
                "Nothing would be locked: --object-lock and --object-lock-until go together.",
                hint="Give both (or ASYNCPIPE_OBJECT_LOCK, ASYNCPIPE_OBJECT_LOCK_UNTIL), "
                "or neither.",
            )
        variant = rest.pop("variant", None)
        settings = cls(
            verbosity=rest.pop("verbose", 0) - rest.pop("quiet", 0),
            transfer=TransferOptions(**transfer),
            store=StoreOptions(max_connections=connections, **store),
            host_trust=Trust(**trust),
            on_github=environment.get("GITHUB_ACTIONS") == "true",
            environment=environment,
            **rest,
        )
        return settings.with_variant(variant)

    def with_variant(self, variant: str | None) -> Settings:
        """The same for a variant; a template that has a variable of this name gets it too."""
        if variant is None:
            return self
        environment = {**self.environment, "PKR_VAR_variant": variant}
        return replace(self, variant=variant, environment=environment)


def default_of(name: str) -> Any:
    """Return the default of a setting, None if it has none."""
    for kind in (Settings, TransferOptions, StoreOptions, Trust):
        for one in fields(kind):
            if one.name == name:
                return None if one.default in {MISSING, ()} else one.default
    return None


def _given(
    kind: type[TransferOptions | StoreOptions | Trust], names: Mapping[str, Any]
) -> list[Field[Any]]:
    return [one for one in fields(kind) if one.name in names]
