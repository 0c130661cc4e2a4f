"""Each known failure has its sentence and its next step."""

from __future__ import annotations

import pytest

from asyncpipe.packer.hints import hint_for


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Unable to create disk 0 VDI: API Error: SR_FULL 1 2", "storage repository is full"),
        (
            "Unable to create VDI 'x.iso': API Error: SR_BACKEND_FAILURE_44 insufficient space",
            "storage repository is full",
        ),
        ("API Error: SR_BACKEND_FAILURE_47 The SR is not available", "SMlog"),
        ("Error: API Error: HOST_IS_SLAVE 192.0.2.7", "pool's master"),
        ("Unable to start VM: API Error: HOST_NOT_ENOUGH_FREE_MEMORY 1 2", "lower vm_memory"),
        ("Unable to start VM: API Error: NO_HOSTS_AVAILABLE", "host is enabled"),
        ("Error cloning VM: API Error: RBAC_PERMISSION_DENIED vm.clone", "vm-admin"),
        ("Unable to get VDI from UUID: API Error: UUID_INVALID VDI x", "removed from the pool"),
        ("Found more than one VDI with name 'x.iso'. Name must be unique", "rename or remove"),
        (
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password]",
            "SSH refused the login",
        ),
        ("Get https://mirror/x: x509: certificate signed by unknown authority", "install the CA"),
        ("error downloading ISO: [1 error occurred: bad response code: 404]", "iso_checksum"),
        ("Could not download XVA: write out/x.xva: no space left on device", "runs Packer is full"),
        ("Could not download XVA: unexpected EOF", "export broke off"),
        ("xenserver-iso.debian: unexpected EOF", "crash.log"),
        ("panic: runtime error: index out of range", "crash.log"),
        ("API Error: SESSION_AUTHENTICATION_FAILED root", "remote_password"),
    ],
)
def test_a_known_cause_has_its_next_step(line: str, said: str) -> None:
    assert said in hint_for((line,))


def test_what_a_guest_printed_does_not_accuse_the_machine_that_runs_packer() -> None:
    lines = (
        "xenserver-iso.debian: Script exited with non-zero exit status: 1",
        "xenserver-iso.debian: tar: write error: No space left on device",
    )
    assert "provisioning script" in hint_for(lines)


def test_an_unknown_cause_has_no_invented_hint() -> None:
    assert hint_for(("something nobody has seen",)) == ""
