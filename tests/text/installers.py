"""Lines as Anaconda, Debian's installer, cloud-init and the journal write them; none is a secret.

Written for these tests after the formats that the programs document: Anaconda's
``H:M:S,ms LOGLEVEL facility:message``, syslog's, and ``journalctl``'s short and export forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

SAMPLE: Final = Path(__file__).with_name("data") / "installer-lines.txt"
_PACKAGES: Final = (
    "openssh-server", "pam", "passwd", "shadow-utils", "gnome-keyring", "python3-keyring",
    "libsecret", "cracklib-dicts", "pwgen", "libpwquality", "krb5-libs", "nss-tools",
    "p11-kit-trust", "ca-certificates", "git-credential-libsecret", "tokyocabinet", "sssd-client",
)  # fmt: skip


def lines() -> Iterator[str]:
    """Yield the sample, and some thousands more: one package after another."""
    yield from SAMPLE.read_text("utf-8").splitlines()
    for number in range(200):
        for name in _PACKAGES:
            package = f"{name}-{number % 9}.{number % 31}.{number % 7}-{number % 40}.el9.x86_64"
            yield f"12:0{number % 10}:11,{number:03} INF packaging: Installed: {package}"
            yield f"  Installing       : {package}    {number + 1}/412"
            yield f"Nov 23 12:01:{number % 60:02} in-target: Unpacking {package} ..."
            yield f"Nov 23 12:03:{number % 60:02} vm systemd[1]: Started {name}-{number}..."
