"""The packages of a published template as a software bill of materials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote


def cyclonedx(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the packages as a CycloneDX 1.6 bill of materials (https://cyclonedx.org/docs/1.6).

    Package URLs follow https://github.com/package-url/purl-spec: deb, rpm, apk, else generic.
    """
    os = document["os"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": document["build"]["ended_utc"],
            "component": {
                "type": "operating-system",
                "name": os["type"] or document["unit"],
                "version": os["release"] or os["version"] or "",
            },
        },
        "components": [
            {
                "type": "library",
                "name": package["name"],
                "version": package["version"],
                "purl": _purl(package, os["type"] or "linux"),
            }
            for package in document["packages"]
        ],
    }


_PURL_TYPES: Final = {
    **dict.fromkeys(("debian", "ubuntu", "devuan", "kali", "linuxmint"), "deb"),
    **dict.fromkeys(("alpine", "alpinelinux"), "apk"),
    **dict.fromkeys(
        ("almalinux", "rocky", "centos", "centos-stream", "rhel", "fedora", "ol", "opensuse"),
        "rpm",
    ),
    **dict.fromkeys(("oracle", "sles", "sle", "amazonlinux", "openeuler", "photon"), "rpm"),
}


def _purl(package: Mapping[str, str], os_type: str) -> str:
    kind = _PURL_TYPES.get(os_type, "generic")
    arch = f"?arch={quote(package['arch'], safe='')}" if package["arch"] else ""
    name, version = (quote(package[part], safe="") for part in ("name", "version"))
    return f"pkg:{kind}/{quote(os_type, safe='')}/{name}@{version}{arch}"
