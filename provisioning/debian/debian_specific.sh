#!/bin/bash
# What Debian and Ubuntu need as templates on XCP-ng.
#
# Does:     cloud-init for the NoCloud drive that Xen Orchestra attaches, growth of the root file
#           system, SSH host keys made on first boot, a console in Xen Orchestra and on hvc0,
#           security updates (on or off).
# Variables: AUTOMATIC_UPDATES  true (default) or false
# Needs:    root, the package mirrors; after update_system.sh.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

AUTOMATIC_UPDATES=${AUTOMATIC_UPDATES:-true}

cloud_init() {
    install_packages cloud-init cloud-guest-utils python3
    rm -f /etc/cloud/cloud-init.disabled
    # With None last in a list of two, cloud-init also runs without a drive and sets up DHCP.
    put /etc/cloud/cloud.cfg.d/90-asyncpipe.cfg 0644 <<'CFG'
datasource_list: [NoCloud, None]
disable_root: true
ssh_pwauth: false
ssh_deletekeys: true
preserve_hostname: false
growpart:
  mode: auto
  devices: ["/"]
resize_rootfs: true
CFG
}

# Without ifupdown or netplan cloud-init has nobody to write the network's configuration for.
network() {
    if [ "$OS_ID" = ubuntu ]; then
        install_packages netplan.io
    elif ! package_installed netplan.io; then
        case $OS_VERSION in
            12) install_packages ifupdown isc-dhcp-client ;;
            *) install_packages ifupdown dhcpcd-base ;;
        esac
    fi
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
ExecStart=/usr/bin/ssh-keygen -A

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
    put /etc/apt/apt.conf.d/20auto-upgrades 0644 <<CONF
APT::Periodic::Update-Package-Lists "$on";
APT::Periodic::Unattended-Upgrade "$on";
CONF
}

require_choice AUTOMATIC_UPDATES "$AUTOMATIC_UPDATES" true false
begin
[ "$OS_FAMILY" = debian ] || die "this script is for Debian and Ubuntu, not for $OS_ID"
require_space / 512
package_lists
network
cloud_init
host_keys
console
updates
say "done"
