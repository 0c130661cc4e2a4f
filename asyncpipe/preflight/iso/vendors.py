"""Vendors of installation images: how they name them, list their sums, and sign the lists.

Fingerprints are the vendors' own words: debian.org/CD/verify, ubuntu.com/tutorials (how to verify
Ubuntu), almalinux.org/security, rockylinux.org/resources/gpg-key-info, centos.org/keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SUMS: Final = ("SHA512SUMS", "SHA256SUMS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One vendor."""

    name: str
    pattern: re.Pattern[str]  # of an image's file name: series (or from version), version, rest
    series_parts: int  # numbers of the version that name the series, where it names none itself
    sums: tuple[str, ...]  # lists beside the image; {name} is the image's
    signatures: tuple[str, ...]  # added to a list's URL; a list can also be signed in itself
    fingerprints: frozenset[str]
    keyrings: tuple[str, ...]  # where the keys lie on a machine that has them
    package: str  # that brings them
    listed_apart: bool = False  # each image has a list of its own: newer ones are in the folder


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


VENDORS: Final = (
    Vendor(
        name="Debian",
        pattern=_pattern(r"debian-(?P<version>\d+\.\d+\.\d+)(?P<rest>-[a-z0-9-]+\.iso)"),
        series_parts=1,
        sums=_SUMS,
        signatures=(".sign",),
        fingerprints=frozenset(
            {
                "DF9B9C49EAA9298432589D76DA87E80D6294BE9B",
                "10460DAD76165AD81FBC0CE9988021A964E6EA7D",
                "F41D30342F3546695F65C66942468F4009EA8AC3",
            }
        ),
        keyrings=("/usr/share/keyrings/debian-role-keys.gpg",),
        package="debian-keyring",
    ),
    Vendor(
        name="Ubuntu",
        pattern=_pattern(r"ubuntu-(?P<version>\d\d\.\d\d(?:\.\d+)?)(?P<rest>-[a-z0-9-]+\.iso)"),
        series_parts=2,
        sums=("SHA256SUMS",),
        signatures=(".gpg",),
        fingerprints=frozenset({"843938DF228D22F7B3742BC0D94AA3F0EFE21092"}),
        keyrings=(
            "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
            "/etc/apt/trusted.gpg.d/ubuntu-keyring-2012-cdimage.gpg",
        ),
        package="ubuntu-keyring",
    ),
    Vendor(
        name="AlmaLinux",
        pattern=_pattern(r"AlmaLinux-(?P<version>\d+\.\d+)(?P<rest>-[A-Za-z0-9_-]+\.iso)"),
        series_parts=1,
        sums=("CHECKSUM",),
        signatures=(".asc", ".sig"),
        fingerprints=frozenset(
            {
                "BF18AC2876178908D6E71267D36CB86CB86B3716",
                "EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572",
            }
        ),
        keyrings=tuple(
            root.format(name)
            for root in ("/etc/pki/rpm-gpg/{}", "/usr/share/distribution-gpg-keys/alma/{}")
            for name in ("RPM-GPG-KEY-AlmaLinux-9", "RPM-GPG-KEY-AlmaLinux-10")
        ),
        package="distribution-gpg-keys",
    ),
    Vendor(
        name="Rocky Linux",
        pattern=_pattern(r"Rocky-(?P<version>\d+\.\d+)(?P<rest>-[A-Za-z0-9_-]+\.iso)"),
        series_parts=1,
        sums=("CHECKSUM",),
        signatures=(".asc", ".sig"),
        fingerprints=frozenset(
            {
                "21CB256AE16FC54C6E652949702D426D350D275D",
                "FC226859C0860BF0DDB95B085B106C736FEDFC85",
            }
        ),
        keyrings=tuple(
            root.format(name)
            for root in ("/etc/pki/rpm-gpg/{}", "/usr/share/distribution-gpg-keys/rocky/{}")
            for name in ("RPM-GPG-KEY-Rocky-9", "RPM-GPG-KEY-Rocky-10")
        ),
        package="distribution-gpg-keys",
    ),
    Vendor(
        name="CentOS Stream",
        pattern=_pattern(
            r"CentOS-Stream-(?P<series>\d+)-(?P<version>\d{8}\.\d+|latest)(?P<rest>-[A-Za-z0-9_-]+\.iso)"
        ),
        series_parts=0,
        sums=("{name}.SHA256SUM",),
        signatures=(".asc",),
        fingerprints=frozenset({"99DB70FAE1D7CE227FB6488205B555B38483C65D"}),
        keyrings=(
            "/etc/pki/rpm-gpg/RPM-GPG-KEY-centosofficial",
            "/usr/share/distribution-gpg-keys/centos/RPM-GPG-KEY-CentOS-Official",
        ),
        package="distribution-gpg-keys",
        listed_apart=True,
    ),
)


# Whoever else publishes images: their lists are compared, and nothing is known of newer ones.
OTHER: Final = Vendor(
    name="its publisher",
    pattern=_pattern(r".*"),
    series_parts=0,
    sums=("SHA256SUMS", "SHA512SUMS", "{name}.CHECKSUM", "CHECKSUM", "sha256sum.txt"),
    signatures=(),
    fingerprints=frozenset(),
    keyrings=(),
    package="name them by --keyring",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The name of an image, taken apart."""

    vendor: Vendor
    name: str
    series: str
    version: str
    rest: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version for comparing; empty for one that moves (``latest``)."""
        parts = self.version.split(".")
        return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()

    def is_older_than(self, other: Image) -> bool:
        """Whether ``other`` is a later image of the same kind and series."""
        same = (self.vendor, self.series, self.rest) == (other.vendor, other.series, other.rest)
        return same and bool(self.numbers) and self.numbers < other.numbers

    def at(self, version: str) -> Image:
        """The same kind of image of another version."""
        name = self.name.replace(self.version, version, 1)
        return Image(
            vendor=self.vendor, name=name, series=self.series, version=version, rest=self.rest
        )


def image_of(name: str) -> Image | None:
    """Take a file name apart; None where no vendor of ours calls its images so."""
    for vendor in VENDORS:
        match = vendor.pattern.fullmatch(name)
        if match is not None:
            found = match.groupdict()
            series = found.get("series") or ".".join(
                match["version"].split(".")[: vendor.series_parts]
            )
            return Image(
                vendor=vendor,
                name=name,
                series=series,
                version=match["version"],
                rest=match["rest"],
            )
    return None


def image_of_any(name: str) -> Image:
    """Take a file name apart; one that no vendor of ours uses has neither series nor version."""
    return image_of(name) or Image(vendor=OTHER, name=name, series="", version="", rest="")
