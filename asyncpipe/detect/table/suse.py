"""openSUSE and SUSE Linux Enterprise."""

from __future__ import annotations

from asyncpipe.detect.distribution import Distribution

# fmt: off
SUSE_FAMILY = (
    Distribution(
        os_type="opensuse-leap-micro", word=r"(?:opensuse[-_])?leap[-_ ]?micro", hints=("leap",),
        version=r"\d\.\d", series=2,
        examples=(("openSUSE-Leap-Micro.x86_64-5.5.0-Default-SelfInstall-Build.iso", None),),
    ),
    Distribution(
        os_type="opensuse-microos", word=r"(?:opensuse[-_])?micro[-_]?os", hints=("micro",),
        rolling=True, ids=("microos",),
        examples=(("openSUSE-MicroOS-DVD-x86_64-Current.iso", "rolling"),),
    ),
    Distribution(
        os_type="opensuse-tumbleweed",
        word=r"(?:opensuse[-_])?(?:tumbleweed|kubic|aeon|kalpa)|opensuse(?=/tumbleweed)",
        hints=("tumbleweed", "kubic", "aeon", "kalpa"), version=r"20\d{6}", rolling=True,
        ids=("tumbleweed",),
        examples=(
            ("openSUSE-Tumbleweed-DVD-x86_64-Current.iso", "rolling"),
            ("openSUSE-Tumbleweed-NET-x86_64-Snapshot20250101-Media.iso", "rolling"),
        ),
    ),
    Distribution(
        os_type="opensuse-leap", word=r"(?:opensuse[-_ ]?)?leap|opensuse(?=[-_](?:42|15|16)\.)",
        hints=("leap", "opensuse"), version=r"(?:42|1[56])\.\d", series=2,
        compact=r"(42|1[56])(\d)", ids=("leap",), needs_version=True,
        examples=(
            ("openSUSE-Leap-15.6-DVD-aarch64-Media.iso", "15.6"),
            ("Leap-16.0-online-installer-x86_64.install.iso", "16.0"),
            ("openSUSE-Leap-42.3-NET-x86_64.iso", "42.3"),
            ("https://download.opensuse.org/distribution/leap/15.5/iso/image.iso", "15.5"),
        ),
    ),
    Distribution(
        os_type="opensuse", word=r"open[-_ ]?suse|suse(?:[-_]linux)?(?=[-_]?(?:9|10|11|12|13)\.)",
        hints=("suse",), version=r"(?:9|1[0-3])\.\d", series=2,
        examples=(
            ("openSUSE-11.3-DVD-x86_64.iso", "11.3"), ("openSUSE-13.2-DVD-x86_64.iso", "13.2"),
            ("openSUSE-10.3-GM-DVD-i386.iso", "10.3"),
        ),
    ),
    Distribution(
        os_type="sle-micro",
        word=r"(?:suse[-_ ](?:linux[-_ ])?(?:enterprise[-_ ])?|sle[-_]?)micro|sl[-_]micro",
        hints=("micro",), version=r"\d\.\d", series=2, ids=("slmicro", "slemicro"),
        examples=(("SLE-Micro-5.5-DVD-x86_64-GM-Media1.iso", "5.5"),),
    ),
    Distribution(
        os_type="sled", word=r"sled", hints=("sled",), version=r"(1\d)(?:[-_.]?sp(\d)|\.(\d))?",
        series=2, examples=(("SLED-12-SP3-DVD-x86_64-GM-DVD1.iso", "12.3"),),
    ),
    Distribution(
        os_type="sles", word=r"sles?|suse[-_ ]linux[-_ ]enterprise(?:[-_ ]server)?",
        hints=("sle", "suse"), version=r"(1\d)(?:[-_. ]?sp(\d)|\.(\d))?", series=2,
        ids=("sle", "suse", "suselinuxenterpriseserver"), needs_version=True,
        examples=(
            ("SLE-15-SP6-Full-x86_64-GM-Media1.iso", "15.6"),
            ("SLES-11-SP4-DVD-x86_64-GM-DVD1.iso", "11.4"),
            ("SLES-16.0-Online-x86_64-GM.install.iso", "16.0"),
            ("SLE-12-SP5-Server-DVD-x86_64-GM-DVD1.iso", "12.5"), ("sles15sp5.qcow2", "15.5"),
            ("SLE-15-Installer-DVD-x86_64-GM-DVD1.iso", "15"),
        ),
    ),
)
# fmt: on
