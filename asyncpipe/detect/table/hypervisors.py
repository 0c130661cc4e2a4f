"""Hypervisors that are installed from an ISO."""

from __future__ import annotations

from asyncpipe.detect.distribution import Distribution

# fmt: off
HYPERVISORS = (
    Distribution(
        os_type="xcp-ng", platform=True, word=r"xcp[-_]?ng", hints=("xcp",),
        version=r"[78]\.\d(?:\.\d)?", series=2, ids=("xcpng",),
        examples=(("xcp-ng-8.3.0.iso?https=1", "8.3"), ("xcp-ng-8.2.1-20231130.iso", "8.2")),
    ),
    Distribution(
        os_type="xenserver", platform=True, word=r"xen[-_ ]?server|citrix[-_ ]?hypervisor",
        hints=("xen", "citrix"), version=r"[5-9](?:\.\d(?:\.\d)?)?", series=2,
        ids=("citrixhypervisor",),
        examples=(
            ("XenServer-7.6.0-install-cd.iso", "7.6"),
            ("CitrixHypervisor-8.2.0-install-cd.iso", "8.2"), ("XenServer8_2024-03-18.iso", "8"),
        ),
    ),
    Distribution(
        os_type="esxi", platform=True,
        word=r"vmware[-_ ]vmvisor(?:[-_ ]installer)?|(?:vmware[-_ ])?esx(?:i|(?=[-_]?[3-6]\.))",
        hints=("vmvisor", "esx"), version=r"([4-9])\.(\d)(?:\.\d)?(?:\.?u\w+)?", series=2,
        compact=r"([5-9])([0-9])", ids=("vmware-esxi",),
        examples=(
            ("VMware-VMvisor-Installer-8.0U2-22380479.x86_64.iso", "8.0"),
            ("VMware-VMvisor-Installer-7.0.0-15843807.x86_64.iso", "7.0"),
            ("VMware-VMvisor-Installer-6.7.0.update03-14320388.x86_64.iso", "6.7"),
        ),
    ),
    Distribution(
        os_type="ovirt-node", platform=True, word=r"ovirt[-_]node(?:[-_]ng)?(?:[-_]installer)?",
        hints=("ovirt",), series=2,
        examples=(("ovirt-node-ng-installer-4.5.5-2023113015.el8.iso", "4.5"),),
    ),
)
# fmt: on
