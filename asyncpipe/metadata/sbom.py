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


def spdx(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the packages as SPDX 2.3 JSON (https://spdx.github.io/spdx-spec/v2.3).

    Licences are not known: nothing is asserted about them.
    """
    os, tool = document["os"], document["build"]["tool"]
    digest = document["files"]["xva"]["sha256_hex"]
    packages = [
        _spdx_package(number, package, os["type"] or "linux")
        for number, package in enumerate(document["packages"], 1)
    ]
    image = {
        "SPDXID": "SPDXRef-Image",
        "name": document["files"]["xva"]["key"].rpartition("/")[2],
        "versionInfo": document["timestamp"],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
    }
    described = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES"}
    contained = {"spdxElementId": "SPDXRef-Image", "relationshipType": "CONTAINS"}
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{os['short_id'] or document['unit']}@{document['timestamp']}",
        "documentNamespace": f"urn:asyncpipe:sbom:{digest}",
        "creationInfo": {
            "created": _whole_seconds(document["build"]["ended_utc"], document["timestamp"]),
            "creators": [f"Tool: {tool['name']}-{tool['version']}"],
        },
        "packages": [image, *packages],
        "relationships": [
            {**described, "relatedSpdxElement": "SPDXRef-Image"},
            *({**contained, "relatedSpdxElement": one["SPDXID"]} for one in packages),
        ],
    }


def _spdx_package(number: int, package: Mapping[str, str], os_type: str) -> dict[str, object]:
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": _purl(package, os_type),
    }
    return {
        "SPDXID": f"SPDXRef-Package-{number}",
        "name": package["name"],
        "versionInfo": package["version"],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [reference],
    }


def _whole_seconds(ended_utc: str | None, timestamp: str) -> str:
    """SPDX wants YYYY-MM-DDThh:mm:ssZ; a finished file has no end of a build."""
    if ended_utc:
        return f"{ended_utc[:19]}Z"
    date, time = timestamp[:8], timestamp[9:15]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}Z"


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
