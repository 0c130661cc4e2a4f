"""Linux distributions that descend from none of the large families."""

from __future__ import annotations

from asyncpipe.detect.distribution import Distribution

# fmt: off
INDEPENDENT = (
    Distribution(
        os_type="alpine", word=r"alpine(?:[-_ ]?linux)?", hints=("alpine",),
        version=r"[2-4]\.\d{1,2}(?:\.\d{1,2})?", series=2, compact=r"(3)(\d{1,2})",
        channels=("edge",), ids=("alpinelinux",),
        examples=(
            ("alpine-virt-3.19.7-aarch64.iso", "3.19"),
            ("alpine-standard-3.23.4-x86_64.iso", "3.23"),
            ("alpine-mini-2.4.6-x86_64.iso", "2.4"),
            ("https://dl-cdn.alpinelinux.org/alpine/v3.20/releases/x86_64/image.iso", "3.20"),
        ),
    ),
    Distribution(
        os_type="arch", word=r"arch[-_ ]?linux|arch(?=[-_](?:~|linux|base|boot|20))",
        hints=("arch",), version=r"20\d\d\.\d\d\.\d\d", rolling=True, ids=("archlinux",),
        examples=(
            ("archlinux-2025.02.01-x86_64.iso", "rolling"), ("archlinux-x86_64.iso", "rolling"),
            ("Arch-Linux-x86_64-cloudimg.qcow2", "rolling"),
        ),
    ),
    Distribution(
        os_type="gentoo", word=r"gentoo", hints=("gentoo",), version=r"20\d{6}(?:t\d{6}z)?",
        rolling=True,
        alone=r"^(?:install-~-minimal|livegui-~|livedvd-~|admincd-~|stage3-~)(?:-[a-z0-9-]+)?-(20\d{6})",
        examples=(
            ("install-amd64-minimal-20240101T170001Z.iso", "rolling"),
            ("livegui-amd64-20250112T170332Z.iso", "rolling"),
        ),
    ),
    Distribution(
        os_type="void", word=r"void(?:[-_ ]?linux)?(?:-live)?", hints=("void",),
        version=r"20\d{6}", rolling=True, ids=("voidlinux",),
        examples=(("void-live-x86_64-20250202-base.iso", "rolling"),),
    ),
    Distribution(
        os_type="nixos", word=r"nixos(?:[-_](?:minimal|graphical|gnome|plasma\d|kde))*",
        hints=("nixos",), version=r"\d\d\.(?:03|05|09|11)(?:\.\d+)?", series=2,
        channels=("unstable",),
        examples=(
            ("nixos-minimal-25.05.803471.c2ae88e02671-x86_64-linux.iso", "25.05"),
            (
                "https://channels.nixos.org/nixos-20.03/latest-nixos-plasma5-x86_64-linux.iso",
                "20.03",
            ),
            (
                "https://channels.nixos.org/nixos-unstable/latest-nixos-minimal-x86_64-linux.iso",
                "unstable",
            ),
        ),
    ),
    Distribution(
        os_type="guix", word=r"guix(?:[-_]system)?(?:[-_](?:install|vm-image))?", hints=("guix",),
        series=2, ids=("guix-system",),
        examples=(("guix-system-install-1.4.0.x86_64-linux.iso", "1.4"),),
    ),
    Distribution(
        os_type="freenix", word=r"free(?:nix|slack(?:64)?)", hints=("freenix", "freeslack"),
        series=2, examples=(("freeslack64-14.2-install-dvd.iso", "14.2"),),
    ),
    Distribution(
        os_type="slackware", word=r"slackware(?:arm|aarch64|64)?", hints=("slackware",),
        version=r"\d{1,2}\.\d", series=2, channels=("current",),
        examples=(
            ("slackware64-15.0-install-dvd.iso", "15.0"),
            ("slackware-14.2-install-d1.iso", "14.2"),
        ),
    ),
    Distribution(
        os_type="tinycore", word=r"tiny[-_ ]?core(?:[-_ ]?linux)?|core(?:plus|pure64)",
        hints=("core",), version=r"\d{1,2}\.\d", series=0, alone=r"^core-(\d{1,2}\.\d)$",
        ids=("tinycorelinux",),
        examples=(
            ("Core-12.0.iso", "12.0"), ("TinyCore-15.0.iso", "15.0"),
            ("CorePure64-14.0.iso", "14.0"),
        ),
    ),
    Distribution(
        os_type="clearlinux", word=r"clear[-_ ]?linux|clear(?=-\d{5})", hints=("clear",),
        version=r"\d{4,5}", series=0, ids=("clear-linux-os",),
        examples=(("clear-32550-live-server.iso", "32550"),),
    ),
    Distribution(
        os_type="manjaro", word=r"manjaro", hints=("manjaro",), version=r"\d\d\.\d(?:\.\d)?",
        rolling=True, examples=(("manjaro-kde-24.0-240513-linux69.iso", "rolling"),),
    ),
    Distribution(
        os_type="endeavouros", word=r"endeavour[-_]?os", hints=("endeavour",), rolling=True,
        version=r"20\d\d\.\d\d\.\d\d",
        examples=(("EndeavourOS_Mercury-2025.02.08.iso", "rolling"),),
    ),
    Distribution(
        os_type="artix", word=r"artix", hints=("artix",), rolling=True, version=r"20\d{6}",
        examples=(("artix-base-openrc-20240823-x86_64.iso", "rolling"),),
    ),
    Distribution(
        os_type="garuda", word=r"garuda", hints=("garuda",), rolling=True,
        examples=(("garuda-dr460nized-linux-zen-240428.iso", "rolling"),),
    ),
    Distribution(
        os_type="cachyos", word=r"cachy[-_]?os", hints=("cachy",), rolling=True,
        examples=(("cachyos-desktop-linux-241110.iso", "rolling"),),
    ),
    Distribution(
        os_type="solus", word=r"solus", hints=("solus",), series=2,
        examples=(("Solus-4.5-Budgie.iso", "4.5"),),
    ),
    Distribution(
        os_type="hyperbola", word=r"(?:hyperbola|hypertalking)(?:-milky-way)?", hints=("hyper",),
        series=2, needs_version=True, examples=(("hyperbola-milky-way-v0.3.1-dual.iso", "0.3"),),
    ),
    Distribution(
        os_type="parabola", word=r"parabola", hints=("parabola",), rolling=True,
        examples=(("parabola-x86_64-systemd-cli-2022.04-dual.iso", "rolling"),),
    ),
    Distribution(
        os_type="chimera", word=r"chimera[-_ ]?linux", hints=("chimera",), rolling=True,
        examples=(("chimera-linux-x86_64-LIVE-20240421-base.iso", "rolling"),),
    ),
    Distribution(
        os_type="pclinuxos", word=r"pclinuxos(?:64)?", hints=("pclinuxos",), rolling=True,
        examples=(("pclinuxos64-kde-2024.11.iso", "rolling"),),
    ),
    Distribution(
        os_type="eos", word=r"eos|endless(?:[-_ ]?os)?", hints=("eos", "endless"),
        version=r"(?:eos)?([3-6]\.\d)(?:\.\d{1,2})?", series=2, ids=("endless",),
        needs_version=True,
        examples=(
            ("eos-eos3.1-amd64-amd64.170520-101852.pt_BR.iso", "3.1"),
            ("eos-eos4.0-amd64-amd64.221014-095210.base.iso", "4.0"),
        ),
    ),
    Distribution(
        os_type="cirros", word=r"cirros", hints=("cirros",), series=2,
        examples=(("cirros-0.6.2-x86_64-disk.img", "0.6"),),
    ),
    Distribution(
        os_type="flatcar", word=r"flatcar(?:[-_ ]?(?:container[-_ ]?linux|linux|production))*",
        hints=("flatcar",), version=r"\d{4}\.\d+\.\d+", series=0,
        examples=(
            (
                "https://stable.release.flatcar-linux.net/amd64-usr/3815.2.0/flatcar_production_iso_image.iso",
                "3815.2.0",
            ),
            (
                "https://stable.release.flatcar-linux.net/amd64-usr/current/flatcar_production_iso_image.iso",
                None,
            ),
        ),
    ),
    Distribution(
        os_type="talos", word=r"talos", hints=("talos",), version=r"[01]\.\d{1,2}(?:\.\d{1,2})?",
        series=2,
        path=r"(?:siderolabs|talos-systems|talos\.dev).*/v([01]\.\d{1,2}\.\d{1,2})(?:-[a-z0-9.]+)?/(?:talos|metal|nocloud|openstack|vmware|xen)",
        examples=(
            (
                "https://github.com/siderolabs/talos/releases/download/v1.9.0/metal-amd64.iso",
                "1.9",
            ),
            (
                "https://factory.talos.dev/image/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba/v1.8.3/metal-amd64.iso",
                "1.8",
            ),
            ("talos-amd64.iso", None),
        ),
    ),
    Distribution(
        os_type="rancheros", word=r"rancher[-_]?os|burmilla(?:[-_]?os)?",
        hints=("rancher", "burmilla"), series=2,
        examples=(
            ("https://github.com/rancher/os/releases/download/v1.5.8/rancheros.iso", "1.5"),
        ),
    ),
    Distribution(
        os_type="k3os", word=r"k3os", hints=("k3os",), series=2,
        examples=(
            ("https://github.com/rancher/k3os/releases/download/v0.21.5/k3os-amd64.iso", "0.21"),
        ),
    ),
    Distribution(
        os_type="harvester", platform=True, word=r"harvester", hints=("harvester",), series=2,
        examples=(("harvester-v1.3.0-amd64.iso", "1.3"),),
    ),
    Distribution(
        os_type="openwrt", word=r"openwrt", hints=("openwrt",), series=2,
        examples=(("openwrt-23.05.2-x86-64-generic-ext4-combined.img.gz", "23.05"),),
    ),
    Distribution(
        os_type="routeros", word=r"mikrotik|routeros|chr(?=-\d)",
        hints=("mikrotik", "routeros", "chr"), version=r"[67]\.\d{1,2}(?:\.\d)?",
        ids=("mikrotik",), needs_version=True,
        examples=(("mikrotik-7.12.iso", "7"), ("chr-7.16.1.img", "7")),
    ),
    Distribution(
        os_type="ipfire", word=r"ipfire", hints=("ipfire",), series=2,
        examples=(("ipfire-2.29-core190-x86_64.iso", "2.29"),),
    ),
)
# fmt: on
