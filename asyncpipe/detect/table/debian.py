"""Debian, Ubuntu and what is made from them."""

from __future__ import annotations

from asyncpipe.detect.distribution import Distribution

# https://www.debian.org/releases/ and /usr/share/distro-info/debian.csv
DEBIAN_CODENAMES = {
    "buzz": "1.1", "rex": "1.2", "bo": "1.3", "hamm": "2.0", "slink": "2.1", "potato": "2.2",
    "woody": "3.0", "sarge": "3.1", "etch": "4", "lenny": "5", "squeeze": "6", "wheezy": "7",
    "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12",
    "trixie": "13", "forky": "14", "duke": "15",
}  # fmt: skip

# https://wiki.ubuntu.com/Releases and /usr/share/distro-info/ubuntu.csv
UBUNTU_CODENAMES = {
    "warty": "4.10", "hoary": "5.04", "breezy": "5.10", "dapper": "6.06", "edgy": "6.10",
    "feisty": "7.04", "gutsy": "7.10", "hardy": "8.04", "intrepid": "8.10", "jaunty": "9.04",
    "karmic": "9.10", "lucid": "10.04", "maverick": "10.10", "natty": "11.04", "oneiric": "11.10",
    "precise": "12.04", "quantal": "12.10", "raring": "13.04", "saucy": "13.10",
    "trusty": "14.04", "utopic": "14.10", "vivid": "15.04", "wily": "15.10", "xenial": "16.04",
    "yakkety": "16.10", "zesty": "17.04", "artful": "17.10", "bionic": "18.04", "cosmic": "18.10",
    "disco": "19.04", "eoan": "19.10", "focal": "20.04", "groovy": "20.10", "hirsute": "21.04",
    "impish": "21.10", "jammy": "22.04", "kinetic": "22.10", "lunar": "23.04", "mantic": "23.10",
    "noble": "24.04", "oracular": "24.10", "plucky": "25.04", "questing": "25.10",
    "resolute": "26.04",
}  # fmt: skip
_UBUNTU = "|".join(UBUNTU_CODENAMES)
_DEBIAN = "|".join(name for name in DEBIAN_CODENAMES if name not in {"bo", "rex", "buzz", "duke"})

# fmt: off
DEBIAN_FAMILY = (
    Distribution(
        os_type="proxmox-backup-server", base="debian",
        word=r"proxmox[-_]backup(?:[-_]server)?|pbs", hints=("proxmox", "pbs"), series=2,
        ids=("pbs",), examples=(("proxmox-backup-server_4.1-1.iso", "4.1"),),
    ),
    Distribution(
        os_type="proxmox-mail-gateway", base="debian", word=r"proxmox[-_]mail[-_]?gateway|pmg",
        hints=("proxmox", "pmg"), series=2, ids=("pmg",),
        examples=(
            ("proxmox-mailgateway_8.1-1.iso", "8.1"), ("proxmox-mail-gateway_8.2-1.iso", "8.2"),
        ),
    ),
    Distribution(
        os_type="proxmox-datacenter-manager", base="debian",
        word=r"proxmox[-_]datacenter[-_]manager|pdm", hints=("proxmox", "pdm"), series=2,
        examples=(("proxmox-datacenter-manager_1.0-1.iso", "1.0"),),
    ),
    Distribution(
        os_type="proxmox-ve", platform=True, base="debian", word=r"proxmox(?:[-_]ve)?|pve",
        hints=("proxmox", "pve"), series=2, ids=("pve", "proxmox"),
        examples=(("proxmox-ve_8.3-1.iso", "8.3"), ("proxmox-ve_9.0-1.iso", "9.0")),
    ),
    Distribution(
        os_type="raspios", base="debian", word=r"raspios|raspbian", hints=("rasp",),
        version=r"(?!)", codenames=DEBIAN_CODENAMES, ids=("raspbian",),
        examples=(("2024-11-19-raspios-bookworm-arm64-lite.img.xz", "12"),),
    ),
    Distribution(
        os_type="astra",
        word=r"astra[-_ ]?linux(?:[-_](?:se|ce))?|al[cs]e|orel(?=-\d)"
        r"|(?<=^)installation(?=-1\.[78]\.)",
        hints=("astra", "alce", "alse", "orel", "installation"),
        version=r"[12]\.\d{1,2}(?:\.\d+){0,2}", series=2,
        ids=("astralinux",),
        examples=(
            ("astralinux-1.7.5-17.07.2023_14.40.iso", "1.7"),
            ("installation-1.8.1.6-27.06.24_14.15.iso", "1.8"),
            ("alce-2.12.46.6-17.04.2023_15.09.iso", "2.12"), ("orel-2.12.46.iso", "2.12"),
            ("alse-1.8.1.6-installer.iso", "1.8"),
        ),
    ),
    Distribution(
        os_type="devuan", word=r"devuan", hints=("devuan",),
        codenames={
            "ascii": "2", "beowulf": "3", "chimaera": "4", "daedalus": "5", "excalibur": "6",
            "freia": "7",
        },
        examples=(
            ("devuan_beowulf_3.1.1_amd64_netinstall.iso", "3"),
            ("devuan_excalibur_6.0.0_amd64_desktop-live.iso", "6"),
            ("devuan_daedalus_netinst.iso", "5"),
        ),
    ),
    Distribution(
        os_type="kali", word=r"kali(?:[-_]?linux)?", hints=("kali",),
        version=r"20\d\d\.\d(?:[a-d])?", series=0, channels=("rolling",), ids=("kalilinux",),
        examples=(("kali-linux-2024.4-installer-netinst-amd64.iso", "2024.4"),),
    ),
    Distribution(
        os_type="parrot", word=r"parrot(?:[-_](?:security|home|os|architect|htb))*",
        hints=("parrot",), series=2, examples=(("Parrot-security-6.2_amd64.iso", "6.2"),),
    ),
    Distribution(
        os_type="linuxmint", word=r"linux[-_ ]?mint|lmde|mint", hints=("mint", "lmde"),
        version=r"\d{1,2}(?:\.\d)?", series=0, ids=("mint",),
        examples=(
            ("linuxmint-22.1-cinnamon-64bit.iso", "22.1"), ("lmde-6-cinnamon-64bit.iso", "6"),
        ),
    ),
    Distribution(
        os_type="pop-os", word=r"pop[-_!]?os", hints=("pop",), version=r"\d\d\.\d\d", series=2,
        codenames=UBUNTU_CODENAMES, ids=("pop",),
        examples=(("pop-os_22.04_amd64_intel_52.iso", "22.04"),),
    ),
    Distribution(
        os_type="elementary", word=r"elementary(?:[-_]?os)?", hints=("elementary",),
        version=r"\d(?:\.\d){0,2}", ids=("elementaryos",),
        examples=(("elementaryos-7.1-stable.20230926rc.iso", "7"),),
    ),
    Distribution(
        os_type="zorin", word=r"zorin(?:[-_]?os)?", hints=("zorin",), ids=("zorinos",),
        examples=(("Zorin-OS-17.2-Core-64-bit-r2.iso", "17"),),
    ),
    Distribution(
        os_type="trisquel", word=r"tris(?:qu|k)el(?:[-_](?:mini|netinst|sugar|server))?",
        hints=("tris",),
        examples=(
            ("trisquel-mini_10.0.1_amd64.iso", "10"), ("trisquel_11.0_amd64.iso", "11"),
            ("triskel_9.0.2_amd64.iso", "9"),
        ),
    ),
    Distribution(
        os_type="pureos", word=r"pureos", hints=("pureos",),
        codenames={"amber": "9", "byzantium": "10", "crimson": "11"},
        examples=(
            ("pureos-10.3-plasma-live-20230614_amd64.iso", "10"),
            ("pureos-10~devel-gnome-live-20220502_amd64.iso", "10"),
        ),
    ),
    Distribution(
        os_type="mx", base="debian", word=r"mx(?:[-_]?linux)?", hints=("mx",),
        version=r"\d\d(?:\.\d){0,2}", ids=("mxlinux",), needs_version=True,
        examples=(("MX-23.4_x64.iso", "23"),),
    ),
    Distribution(
        os_type="antix", base="debian", word=r"antix", hints=("antix",),
        examples=(("antiX-23.2_x64-full.iso", "23"),),
    ),
    Distribution(
        os_type="tails", word=r"tails", hints=("tails",), series=1, needs_version=True,
        examples=(("tails-amd64-6.10.iso", "6"),),
    ),
    Distribution(
        os_type="deepin", word=r"deepin(?:[-_]desktop[-_]community)?", hints=("deepin",),
        version=r"\d\d(?:\.\d+){0,2}",
        examples=(("deepin-desktop-community-23-amd64.iso", "23"),),
    ),
    Distribution(
        os_type="neon", word=r"(?:kde[-_])?neon", hints=("neon",), version=r"(?!)", rolling=True,
        ids=("kdeneon",), examples=(("neon-user-20250101-0744.iso", "rolling"),),
    ),
    Distribution(
        os_type="siduction", base="debian", word=r"siduction", hints=("siduction",), rolling=True,
        examples=(("siduction-2024.1.0-Standing_on_the_Shoulders-kde-amd64.iso", "rolling"),),
    ),
    Distribution(
        os_type="vyos", word=r"vyos", hints=("vyos",), version=r"1\.\d(?:\.\d{1,2})?", series=2,
        codenames={"equuleus": "1.3", "sagitta": "1.4", "circinus": "1.5", "crux": "1.2"},
        channels=("rolling",),
        examples=(
            ("vyos-1.4.0-amd64.iso", "1.4"), ("vyos-1.5-rolling-202401010026-amd64.iso", "1.5"),
            ("vyos-rolling-latest.iso", "rolling"),
            ("vyos-2025.02.05-0023-rolling-generic-amd64.iso", "rolling"),
        ),
    ),
    Distribution(
        os_type="ucs", word=r"ucs|univention(?:[-_ ]corporate[-_ ]server)?",
        hints=("ucs", "univention"), series=2, examples=(("UCS_5.0-2-amd64.iso", "5.0"),),
    ),
    Distribution(
        os_type="openmediavault", base="debian", word=r"openmediavault",
        hints=("openmediavault",), examples=(("openmediavault_7.0-32-amd64.iso", "7"),),
    ),
    Distribution(
        os_type="truenas-scale", base="debian", word=r"truenas[-_ ]scale|truenas(?=-2\d\.)",
        hints=("truenas",), version=r"2\d\.\d\d(?:\.\d+){0,2}", series=2,
        examples=(
            ("TrueNAS-SCALE-24.04.2.iso", "24.04"), ("TrueNAS-SCALE-24.10.0.2.iso", "24.10"),
            ("TrueNAS-25.04.0.iso", "25.04"),
        ),
    ),
    Distribution(
        os_type="ubuntu",
        word=r"(?:[xkl]|ed|myth)?ubuntu(?:studio|kylin)?(?:[-_](?:mate|budgie|unity|cinnamon|gnome|core|kylin|base|server|mini|desktop))*",
        hints=("ubuntu",), version=r"(?:[4-9]|[1-9]\d)\.(?:04|06|10)(?:\.\d{1,2})?", series=2,
        codenames=UBUNTU_CODENAMES, compact=r"([12]\d)(04|10)",
        alone=rf"^({_UBUNTU})[-_.](?:release|live|server|desktop|install|preinstalled|base|dvd|alternate|mini|minimal|netboot|wsl|cloud|src|legacy|~)",
        examples=(
            ("ubuntu-24.04.4-live-server-amd64.iso", "24.04"),
            ("ubuntu-6.06.2-server-i386.iso", "6.06"),
            ("warty-release-install-amd64.iso", "4.10"), ("noble-live-server-amd64.iso", "24.04"),
            ("jammy-amd64.iso", "22.04"), ("focal-server-cloudimg-amd64.img", "20.04"),
            ("focal-desktop-amd64.iso", "20.04"), ("xubuntu-22.04.1-desktop-amd64.iso", "22.04"),
            ("ubuntu-mate-24.10-desktop-amd64.iso", "24.10"),
            ("ubuntustudio-23.10-dvd-amd64.iso", "23.10"),
            (
                "https://archive.ubuntu.com/ubuntu/dists/focal/main/installer-amd64/mini.iso",
                "20.04",
            ),
            ("https://releases.ubuntu.com/noble/image.iso", "24.04"),
            ("ubuntu-2004.iso", "20.04"),
        ),
    ),
    Distribution(
        os_type="debian",
        word=r"debian(?:[-_]?(?:gnu[-_]?linux|live|cd|edu|mac|ports|installer))*|debian-?di",
        hints=("debian",), version=r"(?:1\d|[2-9])(?:\.\d{1,2}){0,2}", series=1,
        codenames=DEBIAN_CODENAMES, channels=("testing", "unstable", "sid"),
        alone=rf"^({_DEBIAN})[-_.](?:di\b|netinst|mini|live|dvd|cd|server|desktop|genericcloud|generic|nocloud|~)|^firmware-(\d{{1,2}}\.\d{{1,2}}\.\d{{1,2}})-~-(?:netinst|~|dvd|cd)",
        path=r"cdimage\.debian\.org/.*weekly-(?:live-)?(?:builds)()",
        examples=(
            ("debian-12.14.0-amd64-netinst.iso", "12"),
            ("debian-testing-amd64-netinst.iso", "testing"),
            ("debian-live-6.0.10-amd64-gnome-desktop.iso", "6"),
            ("debian-buster-DI-alpha5-i386-netinst.iso", "10"),
            ("firmware-11.7.0-amd64-netinst.iso", "11"),
            ("debian-mac-12.2.0-amd64-netinst.iso", "12"),
            ("debian-edu-12.5.0-amd64-netinst.iso", "12"),
            ("debian-12-genericcloud-amd64-20240201-1644.qcow2", "12"),
            ("debian-31r8-i386-binary-1.iso", "3"), ("debian-40r9-amd64-netinst.iso", "4"),
            ("debian-508-amd64-netinst.iso", "5"),
            (
                "https://deb.debian.org/debian/dists/bookworm/main/installer-amd64/current/images/netboot/mini.iso",
                "12",
            ),
        ),
        compact=r"([345])([0-9])\d?(?:r\d+[a-z]?)?",
    ),
)
# fmt: on
