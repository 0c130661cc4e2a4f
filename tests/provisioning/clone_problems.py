"""What people report of clones, what finds each: ``python -m tests.provisioning.clone_problems``.

A problem's faults are put into finished trees of Debian 12, 13 and Ubuntu 24.04, one at a time, and
``verify_image.sh`` must name each (test_debian_trees.py). The command writes the list into
``docs/templates.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.provisioning.faults import (
    Fault,
    away,
    cloud_init,
    content,
    disabled,
    edit,
    fault,
    last_sysctl,
    new_file,
    own_file,
)
from tests.templates.needs import REPO

DOCUMENT = REPO / "docs/templates.md"
BEGIN, END = "<!-- problems: begin -->", "<!-- problems: end -->"

CLONES: Final = "tests/boot/test_clones.py"
TREES: Final = "tests/provisioning/test_debian_trees.py"
RED_HAT: Final = "tests/provisioning/test_redhat_stand_ins.py"
FILES: Final = "tests/xva/test_good_files.py"
STARTED: Final = "tests/provisioning/test_started_systems.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A test function in a file of this repository."""

    file: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a clone's owner meets; what the image's verification and the tests find it by."""

    what: str
    faults: tuple[Fault, ...] = ()
    tests: tuple[Test, ...] = ()


def _problem(what: str, *found_by: Fault | Test) -> Problem:
    return Problem(
        what=what,
        faults=tuple(found for found in found_by if isinstance(found, Fault)),
        tests=tuple(found for found in found_by if isinstance(found, Test)),
    )


def _clone(name: str) -> Test:
    return Test(file=CLONES, name=f"test_{name}")


def _tree(name: str, file: str = TREES) -> Test:
    return Test(file=file, name=f"test_{name}")


_IDENTITY = _clone("two_clones_share_no_identity")
_NO_TRACE = _tree("no_trace_of_the_build_is_left")
_SECOND = _clone("nothing_failed_and_cloud_init_is_done")
_NO_BUILD_ID = _tree("nothing_of_the_build_s_machine_id_is_left_and_kdump_keeps_no_memory", RED_HAT)

PROBLEMS: Final = (
    _problem(
        "the same machine-id, so the same DHCP lease (chef/bento#1421)",
        fault(
            content("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            "/etc/machine-id must be there and empty",
        ),
        fault(away("etc/machine-id"), "/etc/machine-id must be there and empty"),
        _IDENTITY,
    ),
    _problem(
        "a D-Bus machine-id of its own",
        fault(
            own_file("var/lib/dbus/machine-id", "0123\n"), "/var/lib/dbus/machine-id must be a link"
        ),
    ),
    _problem(
        "the same SSH host keys",
        fault(new_file("etc/ssh/ssh_host_rsa_key"), "an SSH host key is left"),
        _IDENTITY,
    ),
    _problem(
        "no SSH host keys at all, so no login",
        fault(
            away("etc/systemd/system/multi-user.target.wants/asyncpipe-host-keys.service"),
            "nobody makes SSH host keys on first boot",
        ),
        _clone("its_host_keys_are_the_two_kinds_that_sshd_uses"),
    ),
    _problem(
        "host keys of kinds that sshd does not use",
        fault(cloud_init("ssh_genkeytypes: [ecdsa]"), "cloud-init's ssh_genkeytypes is 'ecdsa'"),
        fault(
            new_file("etc/ssh/sshd_config.d/00-a.conf", "HostKey /etc/ssh/ssh_host_ecdsa_key\n"),
            "sshd uses a host key that is neither ed25519 nor RSA",
        ),
        _clone("its_host_keys_are_the_two_kinds_that_sshd_uses"),
    ),
    _problem(
        "no DHCP client after the first lease (Debian 13 with ifupdown)",
        fault(disabled("systemd-networkd.service"), "systemd-networkd is not enabled"),
        _tree("what_manages_the_network_is_systemd_networkd"),
        _clone("its_dhcp_client_lives_past_the_first_lease"),
    ),
    _problem(
        "no network without a cloud-init drive",
        fault(away("etc/cloud/ds-identify.cfg"), "cloud-init does not start without a drive"),
        _clone("cloud_init_took_the_drive"),
        _clone("its_dhcp_client_lives_past_the_first_lease"),
    ),
    _problem(
        "cloud-init's own file overridden by another (`90_dpkg.cfg`)",
        fault(
            cloud_init("datasource_list: [None]"),
            "cloud-init's datasource_list is 'None', not 'NoCloud ConfigDrive None'",
        ),
    ),
    _problem(
        "a ConfigDrive ignored",
        fault(
            cloud_init("datasource_list: [NoCloud, None]"),
            "cloud-init's datasource_list is 'NoCloud None', not 'NoCloud ConfigDrive None'",
        ),
        _clone("cloud_init_took_the_drive"),
        _clone("it_has_the_name_of_its_drive"),
    ),
    _problem(
        "cloud-init thinks that it ran already",
        fault(new_file("var/lib/cloud/data/instance-id"), "cloud-init's state is left"),
        fault(new_file("var/lib/cloud/sem/config_ssh.once"), "cloud-init's state is left"),
        _SECOND,
    ),
    _problem(
        "cloud-init switched off by the installer",
        fault(new_file("etc/cloud/cloud-init.disabled"), "cloud-init is switched off"),
    ),
    _problem(
        "the installer's network configuration wins over cloud-init's",
        fault(
            new_file("etc/netplan/00-installer-config.yaml"),
            "a network configuration of the build is left",
        ),
        fault(
            cloud_init("network: {config: disabled}"),
            "cloud-init's growpart, and no network of the build's is 'auto False'",
        ),
    ),
    _problem(
        "an interface named by the build's MAC (`70-persistent-net.rules`)",
        fault(
            new_file("etc/udev/rules.d/70-persistent-net.rules"),
            "an interface's or disk's name is left",
        ),
        _clone("the_same_disk_starts_by_the_other_firmware_with_a_renamed_interface"),
    ),
    _problem(
        "`sudo: unable to resolve host`",
        fault(edit("etc/nsswitch.conf", "myhostname", ""), "a machine cannot resolve its own name"),
        _clone("sudo_says_nothing"),
    ),
    _problem(
        "the root file system does not grow",
        fault(
            cloud_init("growpart: {mode: 'off'}"),
            "cloud-init's growpart, and no network of the build's is 'off True'",
        ),
        fault(
            cloud_init("resize_rootfs: false"),
            "cloud-init's ssh_pwauth, disable_root, resize_rootfs is 'False True False'",
        ),
        _clone("its_root_file_system_grew"),
    ),
    _problem(
        "the clock is not kept",
        fault(disabled("systemd-timesyncd.service"), "nothing keeps the clock"),
        _clone("its_clock_is_synchronised"),
    ),
    _problem("a failed unit on the first start", _SECOND),
    _problem(
        "the build's user, key, password, sudo right",
        fault(
            edit("etc/passwd", "root:x", "eve:x:1000:1000::/:/bin/sh\nroot:x"),
            "the user eve (uid 1000, shell /bin/sh) is left",
        ),
        fault(new_file("etc/sudoers.d/asyncpipe-build", "# x\n"), "a right of the build is left"),
        fault(new_file("root/.ssh/authorized_keys"), "an authorized key is left"),
        _tree("nobody_can_log_in_with_a_password"),
    ),
    _problem(
        "root has a password",
        fault(edit("etc/shadow", "root:*:", "root:$6$a$b:"), "root has a password"),
        fault(edit("etc/shadow", "root:*:", "root::"), "root has an empty password"),
    ),
    _problem(
        "histories, secrets, proxies of the build",
        fault(new_file("root/.bash_history"), "a history is left"),
        fault(new_file("root/.netrc"), "a secret is left"),
        fault(new_file("etc/apt/apt.conf.d/95proxy", "// x\n"), "a proxy of the build is left"),
        _NO_TRACE,
    ),
    _problem(
        "the random seed and systemd's credential secret",
        fault(new_file("var/lib/systemd/random-seed"), "a random seed is left"),
        fault(
            new_file("var/lib/systemd/credential.secret"),
            "the key of systemd's credentials is left",
        ),
    ),
    _problem(
        "the iSCSI initiator's name, the NVMe host id",
        fault(new_file("etc/iscsi/initiatorname.iscsi"), "the iSCSI initiator's name is left"),
        fault(new_file("etc/nvme/hostid"), "the NVMe host id is left"),
        fault(new_file("etc/nvme/hostnqn"), "the NVMe qualified name is left"),
        _NO_TRACE,
    ),
    _problem(
        "LVM's or multipath's list of the build's disks",
        fault(new_file("etc/lvm/devices/system.devices"), "a disk known to LVM is left"),
        fault(new_file("etc/multipath/wwids"), "a disk known to multipath is left"),
        _NO_TRACE,
    ),
    _problem(
        "boot entries of the Red Hat family named after another machine-id",
        fault(
            new_file("boot/loader/entries/0123-6.1.conf"),
            "nothing names the boot entries after a clone",
        ),
        _tree("a_clone_s_boot_entries_are_named_after_it", RED_HAT),
    ),
    _problem(
        "the rescue kernel carries the machine-id",
        fault(
            new_file("boot/vmlinuz-0-rescue-0123"),
            "a rescue kernel, which carries the machine-id is left",
        ),
        _NO_BUILD_ID,
    ),
    _problem(
        "kdump's memory reservation",
        fault(
            new_file("boot/grub/grub.cfg", "linux /vmlinuz root=/dev/xvda3 crashkernel=256M\n"),
            "kdump keeps memory at each start: crashkernel= is among the kernel's parameters",
        ),
        _NO_BUILD_ID,
    ),
    _problem(
        "resolv.conf of the build",
        fault(
            own_file("etc/resolv.conf", "nameserver 192.0.2.53\n"),
            "/etc/resolv.conf is the build's",
        ),
        _tree("what_manages_the_network_is_systemd_networkd"),
    ),
    _problem(
        "the template starts by one firmware only",
        _clone("it_was_started_by_the_firmware_asked_for"),
        _clone("the_same_disk_starts_by_the_other_firmware_with_a_renamed_interface"),
        _clone("the_settings_in_force_are_those_of_its_profile"),
    ),
    _problem(
        "no guest agent, so no address in Xen Orchestra",
        fault(
            away("etc/systemd/system/multi-user.target.wants/xe-linux-distribution.service"),
            "no Xen guest agent is enabled",
        ),
        _tree("in_a_guest_of_xen_the_agent_must_run", STARTED),
    ),
    _problem(
        "a CD left in the drive: the VM does not start elsewhere (xcp-ng/xcp#46)",
        _tree("a_cd_left_in_the_drive_warns_by_its_name", FILES),
    ),
    _problem(
        "containers cannot reach anything",
        _tree("the_switch_for_containers_lets_packets_through"),
    ),
    _problem("martian lines of DHCP in the log", _clone("dhcp_leaves_no_martians_in_the_log")),
    _problem(
        "sysctl set for `all` and not for the interface",
        fault(
            last_sysctl("net/ipv4/conf/*/accept_redirects = 1"),
            "the kernel's setting net.ipv4.conf.enX9.accept_redirects is '1', not '0'",
        ),
        fault(
            last_sysctl("net.ipv4.conf.all.rp_filter = 0"),
            "the kernel's setting net.ipv4.conf.all.rp_filter is '0', not '1'",
        ),
        _clone("the_settings_in_force_are_those_of_its_profile"),
    ),
    _problem(
        "the locale of the build is not installed",
        fault(
            content("etc/locale.conf", "LANG=xx_YY.UTF-8\n"),
            "the locale xx_YY.UTF-8 of /etc/locale.conf is not installed",
        ),
    ),
    _problem(
        "a package's refusal to start services (`policy-rc.d`) left behind",
        fault(new_file("usr/sbin/policy-rc.d"), "the refusal to start services is left"),
    ),
    _problem(
        "subscription, Kerberos, Salt, Puppet, Landscape identities",
        fault(new_file("etc/pki/consumer/cert.pem"), "a subscription's identity is left"),
        fault(new_file("etc/krb5.keytab"), "a Kerberos key is left"),
        fault(new_file("etc/salt/minion_id"), "a Salt minion's id is left"),
        fault(new_file("etc/puppetlabs/puppet/ssl/key.pem"), "a Puppet agent's key is left"),
        fault(
            new_file("var/lib/landscape/client/broker.bpickle"), "a Landscape registration is left"
        ),
        _NO_TRACE,
    ),
    _problem(
        "cloud-init sets a locale that is not the template's, or not there (seen in Debian 12)",
        fault(
            cloud_init("locale: en_US.UTF-8"),
            "cloud-init's warning of no drive, and its locale is 'False en_US.UTF-8'",
        ),
        _SECOND,
    ),
    _problem(
        "a warning of cloud-init's at each login without a drive (seen in Ubuntu 24.04)",
        fault(
            cloud_init("warnings: {dsid_missing_source: warn}"),
            "cloud-init's warning of no drive, and its locale is 'warn false'",
        ),
    ),
    _problem(
        "cloud-init logs at each start that its configuration is invalid (seen in Debian 12)",
        fault(
            cloud_init("ntp: {servers: x}"),
            "what cloud-init's own schema says of its configuration is 'ntp",
        ),
    ),
    _problem(
        "by UEFI an installer's CD in the drive is started, not the disk (Debian's signed GRUB)",
        _clone("it_was_started_by_the_firmware_asked_for"),
    ),
)


def table() -> str:
    """The Markdown table of docs/templates.md."""
    lines = ["| | problem | found by |\n", "|---|---|---|\n"]
    for number, problem in enumerate(PROBLEMS, 1):
        lines.append(f"| {number} | {problem.what} | {_found_by(problem)} |\n")
    return "".join(lines)


_PLACES = {
    CLONES: "boot",
    TREES: "tree",
    RED_HAT: "tree (stand-ins)",
    STARTED: "tree",
    FILES: "a warning of `verify`, `inspect` and every build (`cd-in-drive`)",
}


def _found_by(problem: Problem) -> str:
    parts = []
    if problem.faults:
        messages = dict.fromkeys(fault.named for fault in problem.faults)
        parts.append("image: " + ", ".join(f"“{message}”" for message in messages))
    parts += dict.fromkeys(_PLACES[test.file] for test in problem.tests)
    return "; ".join(parts)


def main() -> None:
    """Write the table into docs/templates.md."""
    before, rest = DOCUMENT.read_text().split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
