"""Name or URL -> the comparable text that the table's patterns see, and the architecture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

MAX_CHARS: Final = 2000

_ARCHES: Final = {
    "x86_64": ("amd64(?:fre[a-z]*)?|x86[_-]64|x86_64v\\d|x64(?:fre[a-z]*|v\\d)?|64[-_]?bit|em64t"),
    "aarch64": "aarch64|arm64(?:v8)?|64arm|a64(?:fre)?",
    "i686": "i[3-6]86|x86(?:fre[a-z]*)?|32[-_]?bit|ia32|x32",
    "armv7l": "armhf|armhfp|armv7(?:l|hl)?",
    "armv6l": "armel|armv6l?",
    "ppc64le": "ppc64le|ppc64el|powerpc64le",
    "ppc64": "ppc64|powerpc64",
    "ppc": "powerpc|ppc",
    "s390x": "s390x",
    "mips64el": "mips64el",
    "mipsel": "mipsel",
    "mips": "mips(?:64)?",
    "riscv64": "riscv64",
    "loongarch64": "loong64|loongarch64",
    "ia64": "ia64",
    "sparc64": "sparc(?:64)?",
}
_ARCH: Final = re.compile(
    r"(?<![a-z0-9])(?:"
    + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _ARCHES.items())
    + r")(?![a-z0-9])"
)
_DISC: Final = re.compile(
    r"(?<=[^a-z])(?:dvd|cd|bd|disc|disk|media|part|ga|gm|build|core)[-_]?\d{1,3}(?![0-9.])"
)
_SUFFIX: Final = re.compile(
    r"(?:[.-](?:iso|img|qcow2c?|ova|ovf|vhdx?|vmdk|raw|gz|bz2|xz|zst|zip|7z|box|fs|torrent|wim"
    r"|esd|usb|tar|tgz|hybrid))+$"
)
# Not operating systems: drivers, guest tools, seeds, boot loaders, rescue and disk tools.
_NOT_AN_OS: Final = re.compile(
    r"(?<![a-z])(?:virtio(?:[-_]?win)?"
    r"|guest[-_ ]?(?:tools|additions|agent)|vboxguestadditions|xs[-_]?tools"
    r"|xe[-_]?(?:guest|tools)\w*|xen(?:server)?[-_ ]?(?:vm)?[-_ ]?tools|managementagent\w*"
    r"|vmware[-_ ]?tools|vmtools|open-vm-tools|parallels[-_ ]?tools|prl-tools\w*|qemu-ga"
    r"|ipxe|undionly|gpxe|netboot\.?xyz|cidata|seed|cloud-?init(?=$)|config-?drive"
    r"|autounattend|unattend"
    r"|autoinstall|answer-?file|kickstart|ks|oemdrv|drivers?|memtest(?:86)?\w*|clonezilla|gparted"
    r"|system-?rescue\w*|rescuezilla|rescatux|hirens?\w*|hbcd\w*|ubcd\w*|ultimate-?boot|supergrub\w*|sgd"
    r"|super_grub2\w*|finnix|dban|shredos|ventoy\w*|rufus|spice-guest|winpe\w*|redo-?backup|redorescue"
    r"|grml\w*|languagepack|langpack|fod|features?[-_ ]on[-_ ]demand|inbox_?apps|"
    r"netgate-installer\w*|empty|dummy|blank)(?![a-z])"
)
_HOME: Final = re.compile(r"\A/home/[^/]+")  # of a user who may be called "ubuntu"


@dataclass(frozen=True, slots=True)
class Prepared:
    """``text`` in lower case with architectures and disc numbers masked by ``~``."""

    text: str
    arch: str | None
    is_os: bool  # False: guest tools, drivers and the like


def prepare(name: str) -> Prepared:
    """Make a file name, label or path comparable."""
    lowered = _SUFFIX.sub("", name[:MAX_CHARS].lower())
    is_os = _NOT_AN_OS.search(lowered) is None
    arch = None
    if (match := _ARCH.search(_under(lowered))) is not None:
        arch = match.lastgroup
    text = _ARCH.sub("~", _under(lowered))
    text = _DISC.sub("~", text)
    return Prepared(_JOINED.sub(r"\1\3.\2\4", text), arch, is_os)


_JOINED: Final = re.compile(  # 24_04, 22-04
    r"(?<![0-9.])(\d{1,2})_(\d{1,2})(?![0-9a-z])|(?<![-0-9.])(\d\d)-(04|10)(?![0-9a-z.]|-\d)"
)


def _under(text: str) -> str:
    return text.replace("64guest", "")


def split_url(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Return (file name, host and path before it, file names inside the query), unquoted.

    Names without a scheme may still be paths: ``[SR] isos/debian.iso`` keeps only its last part.
    """
    text = text[:MAX_CHARS]
    scheme, found, rest = text.partition("://")
    if not found:
        rest = text
    rest, _, query = rest.partition("?")
    rest = unquote(rest.partition("#")[0]).replace("\\", "/").rstrip("/")
    folder, _, name = rest.rpartition("/")
    if scheme.lower() == "file":
        folder = ""
    elif not found:
        folder = _HOME.sub("", folder)
    hidden = []
    if query and len(query) < MAX_CHARS:
        values = [value for _, value in parse_qsl(query, max_num_fields=None)][:20]
        hidden = [value for value in values if "/" in value or "." in value]
    return name, folder, tuple(hidden)
