#!/bin/bash
# What the Red Hat family needs as templates on XCP-ng.
#
# Does:     Xen's drivers in the initial RAM disk, no memory kept for kdump, a console in Xen Orchestra
#           and on hvc0, boot entries that follow a clone's machine-id, security updates (on or off).
#           The distribution makes host keys on each start.
# Variables: AUTOMATIC_UPDATES  true (default) or false
# Needs:    root, the package mirrors; after update_system.sh.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

AUTOMATIC_UPDATES=${AUTOMATIC_UPDATES:-true}

# kdump reserves memory at each start, in a template for nothing: it is not enabled.
crash_kernel() {
    if [ -f /etc/kdump.conf ] && ! grep -qx 'auto_reset_crashkernel no' /etc/kdump.conf; then
        sed -i '/^auto_reset_crashkernel/d' /etc/kdump.conf
        printf 'auto_reset_crashkernel no\n' >>/etc/kdump.conf
    fi
    ! have grubby || grubby --update-kernel=ALL --remove-args=crashkernel
}

# Boot entries are named after the machine-id of the installation. In a clone, which has another one,
# an update would add entries beside them, and removing the old kernel would leave its entry behind.
boot_entries() {
    [ -d /boot/loader/entries ] || return 0
    if package_installed dracut-config-rescue; then
        dnf_run remove dracut-config-rescue || die "could not remove dracut-config-rescue"
    fi
    put /usr/libexec/asyncpipe-boot-entries 0755 <<'SCRIPT'
#!/bin/bash
# Renames the boot entries of the machine that was cloned; a second run finds none.
set -euo pipefail
read -r id </etc/machine-id
[[ $id =~ ^[0-9a-f]{32}$ ]]
for entry in /boot/loader/entries/*.conf; do
    name=${entry##*/}
    [[ $name =~ ^[0-9a-f]{32}- ]] || continue
    new=$id-${name#*-}
    [ "$name" != "$new" ] || continue
    mv "$entry" "/boot/loader/entries/$new"
    if [ "$(grub2-editenv - list 2>/dev/null | sed -n 's/^saved_entry=//p')" = "${name%.conf}" ]; then
        grub2-editenv - set "saved_entry=${new%.conf}"
    fi
done
SCRIPT
    put /etc/systemd/system/asyncpipe-boot-entries.service 0644 <<'UNIT'
[Unit]
Description=Name the boot entries after this machine
RequiresMountsFor=/boot
ConditionPathExists=/boot/loader/entries

[Service]
Type=oneshot
ExecStart=/usr/libexec/asyncpipe-boot-entries

[Install]
WantedBy=multi-user.target
UNIT
    systemctl --quiet enable asyncpipe-boot-entries.service
}

# sshd offers ed25519 and RSA keys only: the third would be made for nobody.
host_keys() {
    systemctl --quiet mask sshd-keygen@ecdsa.service
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
[ "$OS_FAMILY" = redhat ] || die "this script is for the Red Hat family, not for $OS_ID"
require_space / 512
package_lists
initial_ramdisk
crash_kernel
boot_entries
host_keys
console
updates
say "done"
