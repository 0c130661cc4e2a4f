"""Red Hat, what is rebuilt from it, Fedora, and the other users of RPM except SUSE."""

from __future__ import annotations

from asyncpipe.detect.distribution import Distribution

# The date stamps of CentOS media, https://en.wikipedia.org/wiki/CentOS#Releases.
_CENTOS_STAMPS = {
    "1406": "7.0.1406", "1503": "7.1.1503", "1511": "7.2.1511", "1611": "7.3.1611",
    "1708": "7.4.1708", "1804": "7.5.1804", "1810": "7.6.1810", "1908": "7.7.1908",
    "2003": "7.8.2003", "2009": "7.9.2009", "1905": "8.0.1905", "1911": "8.1.1911",
    "2004": "8.2.2004", "2011": "8.3.2011", "2105": "8.4.2105", "2111": "8.5.2111",
}  # fmt: skip
_EL = r"(?:10|[3-9])(?:\.\d{1,2})?(?:\.\d)?"
_EL_COMPACT = r"(10|[4-9])([0-9]|10)"

# fmt: off
REDHAT_FAMILY = (
    Distribution(
        os_type="centos-stream", word=r"cent[-_ ]?os[-_ ]?stream|c(?:10|9|8)s", hints=("stream",),
        version=r"(?:8|9|1[0-9])(?:-20\d{6}(?:\.\d)?)?",
        path=r"(?:centos\.org|/centos)(?:/[^/]{1,60}){0,6}?/([89]|1\d)-stream/"
            r"|stream\.centos\.org/([89]|1\d)-stream/|centos-stream/([89]|1\d)/",
        ids=("centosstream",),
        examples=(
            ("CentOS-Stream-9-latest-x86_64-dvd1.iso", "9"),
            ("CentOS-Stream-8-x86_64-latest-boot.iso", "8"),
            ("CentOS-Stream-10-20250331.0-x86_64-boot.iso", "10"),
            ("https://mirror.stream.centos.org/9-stream/BaseOS/x86_64/iso/boot.iso", "9"),
            ("CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2", "9"),
        ),
    ),
    Distribution(
        os_type="centos", word=r"cent[-_ ]?os(?:[-_ ]?linux)?", hints=("cent",),
        version=r"[2-8](?:\.\d{1,2})?(?:\.\d{4})?(?:\.[0-9])?(?!-stream)",
        compact=r"([4-7])([0-9])", releases=_CENTOS_STAMPS,
        path=r"vault\.centos\.org/([2-8]\.\d{1,2}(?:\.\d{4})?)/",
        examples=(
            ("CentOS-7-x86_64-Minimal-2009.iso", "7"),
            ("CentOS-7.0-1406-x86_64-Minimal.iso", "7"), ("CentOS-8.5.2111-x86_64-dvd1.iso", "8"),
            ("CentOS-6.8-i386-bin-DVD1.iso", "6"), ("CentOS-5.11-x86_64-netinstall.iso", "5"),
            ("https://vault.centos.org/6.10/isos/x86_64/boot.iso", "6"),
            ("CentOS-7-x86_64-NetInstall-1511.iso", "7"),
        ),
    ),
    Distribution(
        os_type="almalinux", word=r"alma(?:[-_ ]?linux)?(?:[-_ ]os)?(?:[-_]kitten)?",
        hints=("alma",), version=_EL, compact=_EL_COMPACT, ids=("alma",),
        examples=(
            ("AlmaLinux-9.8-x86_64-boot.iso", "9"),
            ("AlmaLinux-Kitten-10-latest-x86_64-boot.iso", "10"),
            ("AlmaLinux-8-latest-x86_64-Live-KDE.iso", "8"),
            ("AlmaLinux-9-GenericCloud-9.4-20240805.x86_64.qcow2", "9"),
        ),
    ),
    Distribution(
        os_type="rocky", word=r"rocky(?:[-_ ]?linux)?", hints=("rocky",), version=_EL,
        compact=_EL_COMPACT, ids=("rockylinux",),
        examples=(
            ("Rocky-9.8-x86_64-boot.iso", "9"), ("Rocky-10-latest-x86_64-boot.iso", "10"),
            ("Rocky-9-Workstation-x86_64-latest.iso", "9"),
            (
                "https://download.rockylinux.org/pub/rocky/9/isos/x86_64/Rocky-x86_64-boot.iso",
                "9",
            ),
            ("https://dl.rockylinux.org/vault/rocky/8.6/isos/x86_64/boot.iso", "8"),
        ),
    ),
    Distribution(
        os_type="oraclelinux",
        word=r"oracle(?=/\d)|oracle[-_ ]?linux(?:[-_ ]?server)?|enterprise-r|oel|ol(?=[-_ ]?\d)",
        hints=("oracle", "ol", "oel", "enterprise-r"),
        version=r"r?(10|[4-9])(?:[-_/]?u(\d{1,2})|\.(\d{1,2}))?",
        path=r"/ol(\d{1,2})/u(\d{1,2})/", ids=("ol", "oracle", "oel"), compact=_EL_COMPACT,
        examples=(
            ("OracleLinux-R9-U4-x86_64-dvd.iso", "9"),
            ("OracleLinux-R7-U9-Server-x86_64-dvd.iso", "7"),
            ("OL8U10_x86_64-kvm-b237.qcow2", "8"),
            ("https://yum.oracle.com/ISOS/OracleLinux/OL8/u8/x86_64/x86_64-boot.iso", "8"),
            ("Enterprise-R5-U11-Server-x86_64-dvd.iso", "5"),
        ),
    ),
    Distribution(
        os_type="rhel",
        word=r"rhel(?:[-_ ]?(?:server|baseos|client|workstation|computenode|es|as|ws|everything))*"
            r"|red[-_ ]?hat(?:[-_ ]enterprise)?(?:[-_ ]linux)?(?:[-_ ]server)?",
        hints=("rhel", "hat"), version=r"(?:10|[2-9])(?:\.\d{1,2}){0,2}", compact=_EL_COMPACT,
        ids=("redhat", "redhatenterpriselinux"),
        examples=(
            ("rhel-9.4-x86_64-dvd.iso", "9"), ("rhel-baseos-9.0-x86_64-dvd.iso", "9"),
            ("rhel-server-7.9-x86_64-dvd.iso", "7"),
            ("RHEL-7.1-20150219.1-Server-x86_64-dvd1.iso", "7"),
            ("RHEL6.10-20180525.0-Server-x86_64-DVD1.iso", "6"),
            ("rhel-server-6.8-x86_64-dvd.iso", "6"),
        ),
    ),
    Distribution(
        os_type="springdale", word=r"springdale(?:[-_ ]?linux)?|puias",
        hints=("springdale", "puias"), version=_EL, ids=("springdalelinux", "puias"),
        examples=(
            ("Springdale%20Linux-8.7-x86_64-netinst.iso", "8"),
            ("https://springdale.princeton.edu/data/springdale/9/x86_64/os/images/boot.iso", "9"),
        ),
    ),
    Distribution(
        os_type="scientific", word=r"scientific(?:[-_ ]?linux)?|sl(?=[-.]?\d)",
        hints=("scientific", "sl"), version=r"[3-7]\.\d{1,2}|[3-7](?![0-9-]*\d{4}-\d\d)",
        compact=r"([3-7])([0-9]|1[01])", needs_version=True, ids=("scientificlinux", "sl"),
        examples=(
            ("SL-68-x86_64-2016-06-29-DVD-DL.iso", "6"), ("SL-7.9-x86_64-netinst.iso", "7"),
            ("SL-7-DVD-x86_64.iso", "7"),
        ),
    ),
    Distribution(
        os_type="eurolinux", word=r"euro[-_ ]?linux|el(?=-\d)",
        hints=("eurolinux", "euro", "el-"), version=_EL, needs_version=True, ids=("el",),
        examples=(
            ("EL-8-x86_64-latest-appstream.iso", "8"), ("EL-9.3-x86_64-appstream.iso", "9"),
        ),
    ),
    Distribution(
        os_type="circle", word=r"circle(?:[-_ ]?linux)?", hints=("circle",),
        version=r"\d\.\d{1,2}|[89]", series=2, ids=("circlelinux",), needs_version=True,
        examples=(("Circle-8.4-x86_64-minimal.iso", "8.4"), ("Circle-9.2-x86_64-dvd.iso", "9.2")),
    ),
    Distribution(
        os_type="miraclelinux", word=r"miracle[-_ ]?linux", hints=("miracle",), version=_EL,
        ids=("miracle",), examples=(("MIRACLELINUX-9.2-rtm-x86_64.iso", "9"),),
    ),
    Distribution(
        os_type="navylinux", word=r"navy[-_ ]?linux", hints=("navy",), version=_EL,
        examples=(("navylinux-8.4-x86_64-minimal.iso", "8"),),
    ),
    Distribution(
        os_type="virtuozzo", word=r"vz[-_ ]?linux|virtuozzo(?:[-_ ]?linux)?",
        hints=("vz", "virtuozzo"), version=_EL, ids=("vzlinux",),
        examples=(("vzlinux-8.4-x86_64-minimal.iso", "8"),),
    ),
    Distribution(
        os_type="cloudlinux", word=r"cloud[-_ ]?linux", hints=("cloud",), version=_EL,
        examples=(("CloudLinux-8.8-x86_64-boot.iso", "8"),),
    ),
    Distribution(
        os_type="anolis", word=r"anolis(?:[-_ ]?os)?", hints=("anolis",),
        version=r"\d{1,2}(?:\.\d{1,2})?", ids=("anolisos",),
        examples=(("AnolisOS-8.8-x86_64-minimal.iso", "8"),),
    ),
    Distribution(
        os_type="opencloudos", word=r"open[-_ ]?cloud[-_ ]?os", hints=("cloud",),
        version=r"\d{1,2}(?:\.\d{1,2})?", examples=(("OpenCloudOS-8.8-x86_64-minimal.iso", "8"),),
    ),
    Distribution(
        os_type="openeuler", word=r"open[-_ ]?euler", hints=("euler",), version=r"\d\d\.\d\d",
        series=2, examples=(("openEuler-22.03-LTS-SP3-x86_64-dvd.iso", "22.03"),),
    ),
    Distribution(
        os_type="amazonlinux", word=r"amazon[-_ ]?linux|amzn|al(?=20\d\d)",
        hints=("amazon", "amzn", "al20"),
        version=r"2(?:\.0(?:\.20\d{6}(?:\.\d)?)?)?(?!\d)|20\d\d(?:\.\d{1,2}\.20\d{6}(?:\.\d)?)?",
        ids=("amzn", "amazon", "al", "al2023"),
        examples=(
            ("amzn2-kvm-2.0.20240131.0-arm64.xfs.gpt.qcow2", "2"),
            ("al2023-kvm-2023.6.20241212.0-kernel-6.1-x86_64.xfs.gpt.qcow2", "2023"),
            ("amazonlinux-2023.iso", "2023"),
        ),
    ),
    Distribution(
        os_type="photon", word=r"photon(?:[-_ ]?os)?", hints=("photon",), version=r"[1-9]\.\d",
        series=2, ids=("photonos",),
        examples=(
            ("photon-5.0-dde71ec57.x86_64.iso", "5.0"),
            ("photon-minimal-4.0-c001795b8.iso", "4.0"),
            ("photon-minimal-4.0-1526e30ba.iso", "4.0"),
        ),
    ),
    Distribution(
        os_type="azurelinux", word=r"azure[-_ ]?linux|(?:cbl[-_])?mariner",
        hints=("azure", "mariner"), version=r"[1-9]\.\d", series=2,
        ids=("mariner", "cbl-mariner"),
        examples=(("mariner-2.0-x86_64-iso", "2.0"), ("AzureLinux-3.0-x86_64.iso", "3.0")),
    ),
    Distribution(
        os_type="fedora-coreos", base="fedora", word=r"fedora[-_ ]?coreos|fcos",
        hints=("fedora", "fcos"), version=r"[34]\d(?:\.20\d{6}\.\d\.\d)?", ids=("fcos",),
        examples=(("fedora-coreos-41.20250117.3.0-live.x86_64.iso", "41"),),
    ),
    Distribution(
        os_type="fedora", word=r"fedora(?:[-_ ]?linux)?|fc(?=-?\d)", hints=("fedora", "fc"),
        version=r"(?:1?\d|[2-6]\d)(?:-\d{1,2}(?:\.\d{1,2})?)?",
        codenames={
            "yarrow": "1", "tettnang": "2", "heidelberg": "3", "stentz": "4", "bordeaux": "5",
            "zod": "6", "moonshine": "7", "werewolf": "8", "sulphur": "9", "cambridge": "10",
            "leonidas": "11",
        },
        channels=("rawhide",),
        alone=r"^f-?(\d{1,2})-(?:~|live|dvd|netinst|kde|desktop)|^(yarrow|tettnang|heidelberg|stentz|bordeaux|zod)-",
        path=r"/fedora/linux/core/(\d)/",
        examples=(
            ("Fedora-Server-netinst-x86_64-44-1.7.iso", "44"),
            ("Fedora-Everything-netinst-x86_64-Rawhide-20250226.n.0.iso", "rawhide"),
            ("Fedora-20-i386-DVD.iso", "20"), ("FC-6-i386-disc1.iso", "6"),
            ("FC2-x86_64-DVD.iso", "2"), ("F10-x86_64-Live.iso", "10"),
            ("yarrow-i386-disc1.iso", "1"), ("Fedora-Workstation-Live-42-1.1.x86_64.iso", "42"),
            ("Fedora-KDE-Desktop-Live-43-1.6.x86_64.iso", "43"),
            ("Fedora-Silverblue-ostree-x86_64-37-1.7.iso", "37"), ("Fedora-9-Live-i686.iso", "9"),
        ),
    ),
    Distribution(
        os_type="mageia", word=r"mageia", hints=("mageia",),
        examples=(("Mageia-9-x86_64.iso", "9"),),
    ),
    Distribution(
        os_type="openmandriva", word=r"open[-_]?mandriva(?:lx)?\.?", hints=("mandriva",),
        version=r"\d{1,2}\.\d{1,2}", series=2, channels=("rome",),
        examples=(("OpenMandrivaLx.5.0-plasma.x86_64.iso", "5.0"),),
    ),
    Distribution(
        os_type="mandriva", word=r"mandriva(?:[-_]linux)?(?:[-_](?:free|one|powerpack))*",
        hints=("mandriva",), version=r"20\d\d\.\d", series=2,
        examples=(("mandriva-linux-free-2010.2-x86_64.iso", "2010.2"),),
    ),
    Distribution(
        os_type="alt",
        word=r"alt(?:[-_ ]?linux)?"
            r"(?:[-_](?:k?workstation|server|server-v|education|simply|sp|pve|p\d+|latest))*"
            r"|slinux(?:-live)?",
        hints=("alt", "slinux"), version=r"\d{1,2}\.\d(?:\.\d)?", series=2, needs_version=True,
        ids=("altlinux",),
        examples=(
            ("alt-workstation-10.0-x86_64.iso", "10.0"), ("slinux-live-10.0-x86_64.iso", "10.0"),
            ("alt-pve-9.2-x86_64.iso", "9.2"),
            ("alt-kworkstation-10.1-install-x86_64.iso", "10.1"),
            ("altlinux-7.0.5-centaurus-x86_64-ru-install-dvd5.iso", "7.0"),
            ("https://mirror.yandex.ru/altlinux/4.0/Server/current/iso/compact-3.0.4.iso", "4.0"),
        ),
    ),
    Distribution(
        os_type="rosa", word=r"rosa(?:[-_.](?:fresh|chrome|server|desktop))*\.?", hints=("rosa",),
        version=r"\d{1,2}(?:\.\d)?", series=0, needs_version=True,
        examples=(("ROSA.FRESH.12.5.PLASMA5.x86_64.iso", "12.5"),),
    ),
    Distribution(
        os_type="qubes", word=r"qubes(?:[-_ ]?os)?", hints=("qubes",), series=2,
        examples=(("Qubes-R4.2.3-x86_64.iso", "4.2"),),
    ),
    Distribution(
        os_type="nethserver", word=r"nethserver", hints=("nethserver",),
        version=r"\d(?:\.\d{1,2})?(?:\.\d{4})?",
        examples=(("nethserver-7.9.2009-x86_64.iso", "7"),),
    ),
    Distribution(
        os_type="redos", word=r"red[-_ ]?os(?:[-_]murom)?", hints=("redos", "red"),
        version=r"\d{1,2}(?:\.\d(?:\.\d+)?)?", series=2, needs_version=True,
        examples=(
            ("redos-8-20240218.1-Everything-x86_64-DVD1.iso", "8"),
            ("redos-MUROM-7.3.4-20231220.0-Everything-x86_64-DVD1.iso", "7.3"),
            ("RED-OS-8.0.iso", "8.0"),
        ),
    ),
    Distribution(
        os_type="kylin", word=r"kylin(?:[-_](?:server|desktop))*", hints=("kylin",),
        version=r"v?(10|11|4|7)(?:[-_]sp(\d))?", series=2, needs_version=True,
        examples=(
            ("Kylin-Server-10-SP2-Release-Build09-20210524-x86_64.iso", "10.2"),
            ("Kylin-Server-V11-2503-Release-x86_64.iso", "11"),
            ("Kylin-Desktop-V10-SP1-HWE-Release-2303-X86_64.iso", "10.1"),
            ("Kylin-Server-V10-SP3-General-Release-2303-X86_64.iso", "10.3"),
        ),
    ),
)
# fmt: on
