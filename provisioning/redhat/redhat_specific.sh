#!/bin/bash
# What AlmaLinux and Rocky Linux need as templates on XCP-ng.
#
# Does:     cloud-init for the NoCloud drive that Xen Orchestra attaches, growth of the root file
#           system, Xen's drivers in the initial RAM disk, a console in Xen Orchestra and on hvc0,
#           security updates (on or off). Host keys are made by the distribution on each start.
# Variables: AUTOMATIC_UPDATES  true (default) or false
# Needs:    root, the package mirrors; after update_system.sh.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

AUTOMATIC_UPDATES=${AUTOMATIC_UPDATES:-true}

cloud_init() {
    install_packages cloud-init cloud-utils-growpart chrony
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
    enable_unit chronyd.service
}

# An initial RAM disk holds the drivers of the machine it was made on only: a disk installed under
# another hypervisor would not be found.
initial_ramdisk() {
    local conf=/etc/dracut.conf.d/50-asyncpipe.conf before after
    before=$(cksum "$conf" 2>/dev/null || true)
    put "$conf" 0644 <<'CONF'
add_drivers+=" xen-blkfront xen-netfront "
CONF
    after=$(cksum "$conf")
    [ "$before" = "$after" ] || dracut --force --regenerate-all
}

console() {
    have grubby || return 0
    # The last console is the one of the messages of the start: the screen in Xen Orchestra.
    grubby --update-kernel=ALL --remove-args="console rhgb" --args="console=hvc0 console=tty0"
    sed -i 's/^GRUB_TIMEOUT=.*/GRUB_TIMEOUT=1/' /etc/default/grub
}

updates() {
    if [ "$AUTOMATIC_UPDATES" = false ]; then
        disable_unit dnf-automatic.timer
        return 0
    fi
    install_packages dnf-automatic
    put /etc/dnf/automatic.conf 0644 <<'CONF'
[commands]
upgrade_type = security
random_sleep = 3600
network_online_timeout = 60
download_updates = yes
apply_updates = yes

[emitters]
emit_via = stdio
CONF
    systemctl --quiet unmask dnf-automatic.timer
    systemctl --quiet enable dnf-automatic.timer
}

require_choice AUTOMATIC_UPDATES "$AUTOMATIC_UPDATES" true false
begin
[ "$OS_FAMILY" = redhat ] || die "this script is for AlmaLinux and Rocky Linux, not for $OS_ID"
require_space / 512
package_lists
cloud_init
initial_ramdisk
console
updates
say "done"
