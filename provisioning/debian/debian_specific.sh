#!/bin/bash
# What Debian and Ubuntu need as templates on XCP-ng.
#
# Does:     the network by netplan and systemd-networkd, in place of ifupdown and its DHCP clients;
#           a machine that resolves its own name; SSH host keys made on first boot; a console in
#           Xen Orchestra and on hvc0; security updates (on or off).
# Variables: AUTOMATIC_UPDATES  true (default) or false
# Needs:    root, the package mirrors; after update_system.sh.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

AUTOMATIC_UPDATES=${AUTOMATIC_UPDATES:-true}

# cloud-init's fallback asks for DHCPv6 too, for which ifupdown finds no client in Debian 13: it fails,
# and systemd stops the client for IPv4 with it. So what manages the network here is systemd-networkd.
network() {
    local name wanted=(netplan.io libnss-myhostname) gone=() clients=()
    # In Ubuntu 22.04 it is a part of systemd.
    if package_offered systemd-resolved; then
        wanted+=(systemd-resolved)
    fi
    install_packages "${wanted[@]}"
    for name in ifupdown dhcpcd resolvconf openresolv; do
        if package_installed "$name"; then
            gone+=("$name")
        fi
    done
    # cloud-init needs one of these in some releases, to ask clouds; none of them is started.
    for name in isc-dhcp-client dhcpcd-base; do
        if package_installed "$name"; then
            clients+=("$name")
        fi
    done
    if [ "${#gone[@]}" -gt 0 ]; then
        say "removes ${gone[*]}"
        apt_get purge "${gone[@]}" || die "could not remove ${gone[*]}"
    fi
    if [ "${#clients[@]}" -gt 0 ]; then
        apt-mark auto "${clients[@]}" >/dev/null
        apt_get autoremove --purge || die "could not remove ${clients[*]}"
    fi
    systemctl --quiet enable systemd-networkd.service systemd-resolved.service
}

# without_services COMMAND...: packages neither start nor stop a service, so that the build's
# connection outlives the change of what manages it; the names it resolves by stay too, in a file:
# a link to systemd-resolved's has them until something starts that, which happens in passing.
without_services() {
    local policy=/usr/sbin/policy-rc.d kept='' servers link failed=0
    [ ! -e "$policy" ] || kept=$(cat "$policy")
    link=$(readlink /etc/resolv.conf || true)
    servers=$(cat /etc/resolv.conf 2>/dev/null || true)
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    ("$@") || failed=1
    rm -f "$policy"
    [ -z "$kept" ] || put "$policy" 0755 <<<"$kept"
    if [ "$(readlink /etc/resolv.conf || true)" != "$link" ] ||
        [ "$(cat /etc/resolv.conf 2>/dev/null || true)" != "$servers" ]; then
        rm -f /etc/resolv.conf
        put /etc/resolv.conf 0644 <<<"$servers"
    fi
    return "$failed"
}

# Debian makes host keys when openssh-server is installed, and never again.
host_keys() {
    install_packages openssh-server
    put /etc/systemd/system/asyncpipe-host-keys.service 0644 <<'UNIT'
[Unit]
Description=Make the SSH host keys of a new machine
Before=ssh.service
After=cloud-init.service cloud-init-network.service
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
ExecStart=/usr/bin/ssh-keygen -q -t rsa -b 3072 -N "" -f /etc/ssh/ssh_host_rsa_key

[Install]
WantedBy=multi-user.target
UNIT
    systemctl --quiet enable asyncpipe-host-keys.service
}

console() {
    [ -d /etc/default/grub.d ] || [ -f /etc/default/grub ] || return 0
    # The last console is the one of the messages of the start: the screen in Xen Orchestra.
    put /etc/default/grub.d/60-asyncpipe.cfg 0644 <<'GRUB'
GRUB_TIMEOUT=1
GRUB_RECORDFAIL_TIMEOUT=1
GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=hvc0 console=tty0"
GRUB
    if have update-grub && [ -d /boot/grub ]; then
        update-grub >/dev/null 2>&1 || die "update-grub failed: run it by hand to see why"
    fi
}

updates() {
    local on=0
    if [ "$AUTOMATIC_UPDATES" = true ]; then
        install_packages unattended-upgrades
        on=1
    fi
    rm -f /etc/apt/apt.conf.d/20auto-upgrades
    put /etc/apt/apt.conf.d/99-zz-asyncpipe 0644 <<CONF
APT::Periodic::Update-Package-Lists "$on";
APT::Periodic::Unattended-Upgrade "$on";
CONF
}

require_choice AUTOMATIC_UPDATES "$AUTOMATIC_UPDATES" true false
begin
[ "$OS_FAMILY" = debian ] || die "this script is for Debian and Ubuntu, not for $OS_ID"
require_space / 512
package_lists
without_services network || die "the network's packages could not be changed: see the messages above"
host_keys
console
updates
say "done"
