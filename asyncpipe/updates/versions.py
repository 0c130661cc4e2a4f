"""Order versions as dpkg and rpm do."""

from __future__ import annotations

from enum import StrEnum

from univers.debian import compare_versions
from univers.rpm import compare_rpm_versions


class Ecosystem(StrEnum):
    """Whose packages they are."""

    DEB = "deb"
    RPM = "rpm"


def is_newer(ecosystem: Ecosystem, version: str, than: str) -> bool:
    """Whether ``version`` is later than another; ValueError for what is no version."""
    if version == than:
        return False
    compare = compare_versions if ecosystem is Ecosystem.DEB else compare_rpm_versions
    try:
        return bool(compare(version, than) > 0)
    except (TypeError, AttributeError) as error:  # what the library makes of odd characters
        raise ValueError(f"{version!r} or {than!r} is no version") from error
