"""What to do about a failed build: one sentence per known cause."""

from __future__ import annotations

import re
from typing import Final

# The first pattern that any line matches decides, so what is specific stands above what is general.
# Codes in capitals are XAPI's (xapi-project.github.io, "API errors"); the rest is text of Packer,
# its SDK and the xenserver plugin.
_HINTS: Final = (
    (
        r"Missing plugins|packer init|Unknown source type|not installed",
        "Run `packer init` on the template, so that its plugins are installed.",
    ),
    (  # first: a guest may print any of the texts below
        r"non-zero exit status",
        "A provisioning script failed; what it printed stands above that line in build.log.",
    ),
    (
        r"[Nn]o space left on device|[Dd]isk quota exceeded",
        (
            "The disk of the machine that runs Packer is full: free space there, or name another "
            "work folder by --work-directory (the XVA and Packer's ISO cache must fit)."
        ),
    ),
    (
        r"\bSR_FULL\b|SR_BACKEND_FAILURE_44\b",
        (
            "The storage repository is full: free space on it (xe sr-list "
            "params=name-label,physical-size,physical-utilisation), or set sr_name or sr_iso_name "
            "to another one."
        ),
    ),
    (
        r"\bSR_BACKEND_FAILURE_\d+",
        "The host's storage failed: look at /var/log/SMlog on the host.",
    ),
    (
        r"\bHOST_IS_SLAVE\b",
        "Set remote_host to the pool's master; the message names its address.",
    ),
    (
        r"\bHOST_NOT_ENOUGH_FREE_MEMORY\b",
        "No host has that much memory free: lower vm_memory, or shut down other VMs.",
    ),
    (
        r"\bNO_HOSTS_AVAILABLE\b",
        (
            "No host can start this VM: check that a host is enabled (xe host-list "
            "params=name-label,enabled) and reaches the VM's storage and networks."
        ),
    ),
    (
        r"\bRBAC_PERMISSION_DENIED\b",
        (
            "remote_username may log in but not do this: give that user the role vm-admin or a "
            "higher one (xe subject-role-add)."
        ),
    ),
    (
        r"SESSION_AUTHENTICATION_FAILED|authentication fail",
        "Check remote_username and remote_password.",
    ),
    (
        r"\b(?:UUID|HANDLE)_INVALID\b",
        (
            "Something this build used was removed from the pool meanwhile, such as an ISO that "
            "another build with the same ISO name shared: run such builds one after another, or "
            "keep the ISO on the pool and set iso_name."
        ),
    ),
    (
        r"[Ff]ound more than one|must be unique",
        (
            "Several objects of the pool have the name in the message: rename or remove those that "
            "are not meant (xe vdi-list, xe template-list or xe network-list name-label=...)."
        ),
    ),
    (
        r"unable to authenticate|no supported methods remain|Permission denied \(publickey",
        (
            "SSH refused the login. For the guest, check ssh_username and ssh_password against "
            "the answer file; for the host itself, check that remote_username may log in by SSH."
        ),
    ),
    (
        r"Timed out waiting for (?:SSH|WinRM)|Timeout waiting for (?:SSH|WinRM)",
        (
            "The guest did not let Packer in: look at its console, at the boot command and at "
            "ssh_username/ssh_password of the answer file."
        ),
    ),
    (
        r"Could not get IP address of VM",
        (
            "The installer did not finish or the guest tools do not report an address: look at the "
            "VM's console, or raise install_timeout."
        ),
    ),
    (
        r"x509: |certificate (?:signed by|has expired|is not valid)|tls: failed to verify",
        (
            "This machine does not trust the server's certificate: install the CA that signed it, "
            "or correct the clock if the certificate is only expired or not yet valid."
        ),
    ),
    (
        r"bad response code: 40[34]|response code:? 404|404 Not Found",
        (
            "The ISO is not at this URL, probably because a newer release replaced it: set iso_url "
            "and iso_checksum to the current one (`asyncpipe check --iso` looks)."
        ),
    ),
    (
        (
            r"PACKER CRASH|panic: |[Pp]lugin .*crashed|Packer crashed|connection is shut down"
            r"|^\S+: unexpected EOF$"
        ),
        (
            "Packer or a plugin crashed: see crash.log in the folder where Packer ran, and report "
            "it to the plugin's project with the versions that the log names."
        ),
    ),
    (r"Could not download XVA", "The export broke off: look at the host, its disk and network."),
    (
        r"Couldn't find a template with the name-label",
        "Set clone_template to a template of this pool (xe template-list).",
    ),
    (
        r"Couldn't find a network with the specified name-label",
        "Set network_names to networks of this pool (xe network-list).",
    ),
    (r"Unable to (?:get SR|upload VDI)", "Check sr_name and sr_iso_name, and their free space."),
    (
        r"connection refused|no such host|i/o timeout|no route to host",
        "The address in the message does not answer: check its name, the network and the service.",
    ),
    (
        r"[Cc]hecksum",
        "The ISO differs from what iso_checksum says, or was cut off: compare both.",
    ),
)


def hint_for(lines: tuple[str, ...]) -> str:
    """Return what to do about these causes, or an empty text."""
    for pattern, hint in _HINTS:
        if any(re.search(pattern, line) for line in lines):
            return hint
    return ""
