"""A whole workshop of shipped fakes: scripted Packer, store in memory, events in a list."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from asyncpipe.model.build import BuildPlan
from asyncpipe.model.identity import Evidence, OsIdentity, Weight
from asyncpipe.model.run import RunFacts
from asyncpipe.model.template import Template
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import Command
from asyncpipe.retry import RetryPolicy
from asyncpipe.run.publishing.attest import Signer
from asyncpipe.run.publishing.booted import BootTester
from asyncpipe.run.services import Services
from asyncpipe.run.state import RunJournal
from asyncpipe.system.logfile import DiskLogFiles
from asyncpipe.testing.events import RecordedEvents
from asyncpipe.testing.processes import Script, ScriptedProcessRunner
from asyncpipe.testing.store import MemoryStore
from asyncpipe.text.secrets import secrets_of
from asyncpipe.upload.budget import Budget
from asyncpipe.xva.write.records import VmSpec
from asyncpipe.xva.write.writer import RawSource, write_xva

TIMESTAMP = "20261123T170000Z"
SECRET = "hunter2-is-no-password"

GUEST = """\
==> xenserver-iso.demo: Provisioning with shell script: verify_image.sh
    xenserver-iso.demo: asyncpipe-evidence/1 begin
    xenserver-iso.demo: asyncpipe-evidence/1 os-release ID={os}
    xenserver-iso.demo: asyncpipe-evidence/1 os-release VERSION_ID="{version}"
    xenserver-iso.demo: asyncpipe-evidence/1 package openssl 3.0.15 amd64
    xenserver-iso.demo: asyncpipe-evidence/1 end 3
"""


def guest_says(os: str, version: str) -> bytes:
    return GUEST.format(os=os, version=version).encode()


def xva_bytes(folder: Path, size_bytes: int = 3 << 20) -> bytes:
    disk = folder / "disk.raw"
    disk.write_bytes(bytes(range(1, 256)) * (size_bytes // 255 + 1))
    with disk.open("r+b") as file:
        file.truncate(size_bytes)
    out = io.BytesIO()
    vm = VmSpec(name="demo", vcpus=1, memory_bytes=512 << 20, firmware="bios")
    write_xva(out, vm, [RawSource(path=disk, name="demo-disk")], date_utc=TIMESTAMP)
    disk.unlink()
    return out.getvalue()


def leaves(name: str, data: bytes) -> Callable[[Command], None]:
    """What Packer does to the folder that it was given by -var=output_directory=..."""

    def write(command: Command) -> None:
        prefix = "-var=output_directory="
        folder = next(a for a in command.argv if a.startswith(prefix)).removeprefix(prefix)
        Path(folder).mkdir(parents=True)
        (Path(folder) / name).write_bytes(data)

    return write


def plan_in(folder: Path, **changes: object) -> BuildPlan:
    run_directory = folder / "run" / "demo"
    run_directory.mkdir(parents=True, exist_ok=True)
    output = run_directory / "output"
    said = Evidence(
        weight=Weight.ISO_NAME,
        kind="iso_name",
        text="debian-12.11.0-amd64-netinst.iso",
        origin="demo.pkr.hcl:3",
        os_type="debian",
        os_version="12",
        release="12.11",
    )
    plan = BuildPlan(
        unit="demo",
        template=Template(
            path=Path("templates/demo"),
            folder=Path("templates/demo"),
            kind="hcl2",
            files=(),
            sha256_hex="0" * 64,
        ),
        packer_path=Path("/usr/bin/packer"),
        packer_version="1.6.6",
        packer_arguments=(f"-var=output_directory={output}",),
        packer_environment={},
        working_directory=folder,
        run_directory=run_directory,
        output_directory=output,
        timestamp=TIMESTAMP,
        static_identity=OsIdentity(os_type="debian", os_version="12", evidence=(said,)),
        grace_s=1.0,
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class Bench:
    """The fakes of one test, and the workshop made of them."""

    folder: Path
    scripts: tuple[Script, ...]
    store: MemoryStore = field(default_factory=MemoryStore)
    events: RecordedEvents = field(default_factory=RecordedEvents)
    eager: bool = False
    signer: Signer | None = None
    boot_tester: BootTester | None = None

    def workshop(self) -> Services:
        options = TransferOptions(
            retry=RetryPolicy(attempts=3, base_s=0.01), part_size_bytes=5 << 20
        )
        return Services(
            runner=ScriptedProcessRunner(scripts=self.scripts),
            log_files=DiskLogFiles(),
            store=self.store,
            budget=Budget(options),
            reporter=self.events,
            journal=RunJournal.begin(
                self.folder / "run", run_id="r1", timestamp=TIMESTAMP, destination="memory://"
            ),
            facts=RunFacts(tool_version="0"),
            secrets=secrets_of({"MY_PASSWORD": SECRET}, {}),
            transfer=options,
            eager=self.eager,
            signer=self.signer,
            boot_tester=self.boot_tester,
        )

    def visible(self) -> set[str]:
        return {key for key in self.store.objects if key.startswith("templates/")}
