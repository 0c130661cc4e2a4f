"""What every template of a process shares, handed to each run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from asyncpipe.model.build import BuildPlan, ParentVersion
from asyncpipe.model.run import RunFacts
from asyncpipe.model.transfer import TransferOptions, Zstd
from asyncpipe.ports import LogFiles, ObjectStore, ProcessRunner, Reporter
from asyncpipe.run.host.parties import BuildHost
from asyncpipe.run.publishing.attest import Signer
from asyncpipe.run.publishing.booted import BootTester
from asyncpipe.run.state import RunJournal
from asyncpipe.text.secrets import Secrets
from asyncpipe.upload.budget import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every template of this process shares."""

    runner: ProcessRunner
    log_files: LogFiles
    store: ObjectStore
    budget: Budget
    reporter: Reporter
    journal: RunJournal
    facts: RunFacts
    secrets: Secrets
    transfer: TransferOptions = field(default_factory=TransferOptions)
    zstd: Zstd | None = None  # None: XVAs are stored as they are
    eager: bool = True
    keep_xva: bool = False
    take_over: bool = False  # places that other templates fill
    parent: ParentVersion | None = None  # of all templates, whatever they say
    signer: Signer | None = None  # None: versions are not signed
    boot_tester: BootTester | None = None  # None: images are published without a boot test
    host_of: Callable[[BuildPlan], BuildHost | None] | None = None
