"""The BSDs, firewalls and storage made from them, and other systems."""

from __future__ import annotations

from asyncpipe.detect.distribution import Distribution

# fmt: off
UNIX = (
    Distribution(
        os_type="opnsense", word=r"opnsense", hints=("opnsense",),
        version=r"\d\d\.\d{1,2}(?:\.\d{1,2})?", series=2,
        examples=(
            ("OPNsense-25.1-dvd-amd64.iso.bz2", "25.1"), ("OPNsense-24.7-vga-amd64.img", "24.7"),
        ),
    ),
    Distribution(
        os_type="pfsense", word=r"pfsense(?:[-_](?:ce|plus|memstick|serial))*",
        hints=("pfsense",), version=r"\d{1,2}\.\d{1,2}(?:\.\d)?", series=0,
        examples=(
            ("pfSense-CE-2.7.2-RELEASE-amd64.iso.gz", "2.7.2"),
            ("pfSense-CE-memstick-2.6.0-RELEASE-amd64.img.gz", "2.6.0"),
        ),
    ),
    Distribution(
        os_type="hardenedbsd", word=r"hardened[-_]?bsd", hints=("hardened",), version=r"1\d",
        channels=("current",),
        examples=(
            (
                "https://installers.hardenedbsd.org/pub/14-stable/amd64/amd64/installer/build-26/disc1.iso",
                "14",
            ),
            (
                "https://mirror.example.org/pub/hardenedbsd/13-stable/amd64/amd64/installer/build-42/disc1.iso",
                "13",
            ),
        ),
    ),
    Distribution(
        os_type="dragonflybsd", word=r"dragonfly(?:[-_]?bsd)?|dfly", hints=("dragonfly", "dfly"),
        series=2, ids=("dragonfly", "dfly"), examples=(("dfly-x86_64-6.4.0_REL.iso", "6.4"),),
    ),
    Distribution(
        os_type="ghostbsd", word=r"ghostbsd", hints=("ghostbsd",), series=2,
        examples=(("GhostBSD-24.04.1.iso", "24.04"),),
    ),
    Distribution(
        os_type="midnightbsd", word=r"midnightbsd", hints=("midnightbsd",), series=2,
        examples=(("MidnightBSD-3.1.4--amd64-disc1.iso", "3.1"),),
    ),
    Distribution(
        os_type="freebsd", word=r"free[-_]?bsd", hints=("bsd",),
        version=r"\d{1,2}\.\d(?:\.\d)?|1\d(?!\d)", series=2, compact=r"(\d|1\d)([0-9])",
        examples=(
            ("FreeBSD-15.0-RELEASE-arm64-aarch64-dvd1.iso", "15.0"),
            ("FreeBSD-9.3-RELEASE-amd64-disc1.iso", "9.3"),
            ("FreeBSD-14.1-STABLE-amd64-20240801-bootonly.iso", "14.1"),
            (
                "https://download.freebsd.org/releases/amd64/amd64/ISO-IMAGES/14.4/bootonly.iso",
                "14.4",
            ),
        ),
    ),
    Distribution(
        os_type="netbsd", word=r"net[-_]?bsd(?:-archive)?", hints=("bsd",),
        version=r"\d{1,2}\.\d(?:\.\d)?", series=2,
        examples=(
            ("NetBSD-10.1-amd64.iso", "10.1"),
            ("https://cdn.netbsd.org/pub/NetBSD-archive/NetBSD-7.1.2/images/boot.iso", "7.1"),
            ("https://cdn.netbsd.org/pub/NetBSD-archive/images/7.0/boot-com.iso", "7.0"),
        ),
    ),
    Distribution(
        os_type="openbsd", word=r"open[-_]?bsd", hints=("bsd",), version=r"\d\.\d", series=2,
        compact=r"(\d)(\d)", alone=r"^(?:cd|install|miniroot|floppy|cdemu)([3-9])(\d)$",
        examples=(
            ("cd43.iso", "4.3"), ("install76.iso", "7.6"), ("miniroot74.img", "7.4"),
            ("https://cdn.openbsd.org/pub/OpenBSD/7.6/amd64/install.iso", "7.6"),
            ("openbsd-7.4-amd64.iso", "7.4"),
        ),
    ),
    Distribution(
        os_type="haiku", word=r"haiku", hints=("haiku",), version=r"(?<=r)1(?:alpha|beta|rc)?\d?",
        series=0, channels=("nightly",), prefix="r",
        examples=(
            ("haiku-r1beta5-x86_64-anyboot.iso", "r1beta5"),
            ("haiku-r1beta3-x86_gcc2h-anyboot.iso", "r1beta3"),
        ),
    ),
    Distribution(
        os_type="freedos", word=r"freedos", hints=("freedos",), series=2,
        alone=r"^fd(\d)(\d)-?(?:cd|lgcy|live|full|lite|legacy|floppy|bonus|std|usb|boot)",
        examples=(("FD12CD.iso", "1.2"), ("FD13LIVE.iso", "1.3"), ("FD13-LiveCD.iso", "1.3")),
    ),
    Distribution(
        os_type="reactos", word=r"reactos", hints=("reactos",), series=2,
        examples=(("ReactOS-0.4.15-release-1-gdbb43bbaeb2-x86-iso.iso", "0.4"),),
    ),
    Distribution(
        os_type="minix", word=r"minix", hints=("minix",), series=2,
        examples=(("minix_R3.3.0-588a35b.iso", "3.3"),),
    ),
    Distribution(
        os_type="solaris", word=r"(?:oracle[-_ ]?)?solaris|sol", hints=("sol",),
        version=r"(11)\.(\d)(?:\.\d+)*|(10)-u\d{1,2}|(8|9|1[01])(?!\d)", series=2,
        needs_version=True,
        examples=(
            ("sol-11_4-ai-x86.iso", "11.4"), ("sol-11.4.42.111.0-ai-x86.iso", "11.4"),
            ("sol-10-u11-ga-x86-dvd.iso", "10"),
        ),
    ),
    Distribution(
        os_type="openindiana", word=r"openindiana|oi(?=-hipster)", hints=("openindiana", "oi-"),
        rolling=True, version=r"20\d{6}", examples=(("OI-hipster-text-20241026.iso", "rolling"),),
    ),
    Distribution(
        os_type="omnios", word=r"omnios(?:ce)?", hints=("omnios",), version=r"151\d{3}", series=0,
        prefix="r", examples=(("omnios-r151052.iso", "r151052"),),
    ),
    Distribution(
        os_type="smartos", word=r"smartos", hints=("smartos",), rolling=True,
        examples=(("smartos-20250109T000425Z-USB.img.gz", "rolling"),),
    ),
    Distribution(
        os_type="truenas", word=r"truenas(?:[-_]core)?", hints=("truenas",),
        version=r"1\d\.\d(?:-u\d(?:\.\d)?)?", series=2,
        examples=(("TrueNAS-13.0-U6.1.iso", "13.0"),),
    ),
    Distribution(
        os_type="freenas", word=r"freenas", hints=("freenas",), series=2,
        examples=(("FreeNAS-11.3-U5.iso", "11.3"),),
    ),
    Distribution(
        os_type="android-x86", word=r"android(?:[-_]~)?", hints=("android",), series=1,
        needs_version=True, examples=(("android-x86_64-9.0-r2.iso", "9"),),
    ),
    Distribution(
        os_type="macos",
        word=r"(?:install[-_ ])?(?:mac[-_ ]?os(?:[-_ ]?x)?|os[-_ ]?x)|basesystem",
        hints=("mac", "osx", "os x", "os-x", "basesystem"),
        version=r"(10)\.(\d{1,2})(?:\.\d)?|(1[1-9]|26)(?:\.\d+)*", series=0,
        codenames={
            "catalina": "10.15", "big-?sur": "11", "monterey": "12", "ventura": "13",
            "sonoma": "14", "sequoia": "15", "tahoe": "26",
        },
        examples=(
            ("Install macOS Sonoma.iso", "14"), ("macOS-14.5.iso", "14"),
            ("OSX-10.15.7.iso", "10.15"),
        ),
    ),
)
# fmt: on
