#!/bin/bash
# Makes a template of a machine: nothing in it is of this one machine or of its build.
#
# Does:     removes the build's user, its rights and its SSH exception; SSH host keys; every
#           authorized_keys, history and known secret; machine-id, random seeds, DHCP leases, network
#           and udev leftovers; cloud-init's state; installers' traces; logs, caches, temporary files;
#           old kernels; what leftovers.tsv lists. Then trims or zeroes free space, because an XVA leaves zero chunks out.
#           A second run changes nothing. verify_image.sh proves the result.
# Variables: BUILD_USER        the build's user, default packer
#           ZERO_FREE_SPACE   auto (default: if trimming does not work), always, never; in a tree that
#                             is not started nothing is trimmed or zeroed
# Needs:    root; to be the last that changes anything: nobody can log in afterwards.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD_USER=${BUILD_USER:-packer}
ZERO=${ZERO_FREE_SPACE:-auto}

installed_kernels() {
    { dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'linux-image-[0-9]*' 2>/dev/null || true; } |
        sed -n 's/^installed //p' | sort -V
}

old_kernels() {
    local name newest
    case $OS_FAMILY in
        redhat) dnf_run remove --oldinstallonly >/dev/null 2>&1 || true ;;
        debian)
            newest=$(installed_kernels | tail -n 1)
            for name in $(installed_kernels); do
                if [ "$name" != "$newest" ] && [ "$name" != "linux-image-$(uname -r)" ]; then
                    apt_get purge "$name"
                fi
            done
            ;;
    esac
}

packages() {
    rm -f "$LISTS_MARK"
    case $OS_FAMILY in
        debian)
            apt_get autoremove --purge
            apt_get clean
            rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old
            ;;
        redhat)
            dnf_run clean all >/dev/null
            rm -rf /var/cache/dnf/* /var/lib/dnf/history.sqlite* /var/cache/yum
            sed -i '/^proxy/d' /etc/dnf/dnf.conf
            ;;
    esac
}

# leftovers: each file of the list, found by its pattern.
leftovers() {
    local pattern what path
    while IFS=$'\t' read -r pattern what; do
        [[ $pattern == /* ]] || continue
        while read -r path; do
            rm -rf "$path" || die "$path ($what) cannot be removed"
        done < <(compgen -G "$pattern" || true)
    done <"$here/leftovers.tsv"
}

# The place at Red Hat's subscription management is the build's.
subscription() {
    local identity
    identity=$(compgen -G '/etc/pki/consumer/cert.pem' || true)
    [ -n "$identity" ] || return 0
    timeout 120 subscription-manager unregister >/dev/null 2>&1 ||
        say "could not unregister from the subscription management: remove this build's system there"
    timeout 60 subscription-manager clean >/dev/null 2>&1 || true
}

build_user() {
    if id "$BUILD_USER" >/dev/null 2>&1; then
        # -f: the user is logged in, this very script is its work.
        userdel --force --remove "$BUILD_USER" >/dev/null 2>&1 || true
        if id "$BUILD_USER" >/dev/null 2>&1; then
            die "the user $BUILD_USER cannot be removed"
        fi
    fi
    rm -rf "/home/${BUILD_USER:?}" "/var/mail/$BUILD_USER" "/var/spool/mail/$BUILD_USER"
    usermod --password '*' root
}

secrets() {
    local home
    for home in /root /home/*; do
        [ -d "$home" ] || continue
        rm -rf "$home/.ssh" "$home/.gnupg" "$home/.cache" "$home/.config/pip" "$home/.pip" "$home/.ansible"
        rm -f "$home"/.*_history "$home"/.wget-hsts "$home"/.lesshst "$home"/.viminfo "$home"/.netrc "$home"/.pgpass \
            "$home"/.Xauthority "$home"/.sudo_as_admin_successful "$home"/late.sh
    done
    sed -i -E '/^[[:space:]]*(export[[:space:]]+)?(https?|ftp|all|no)_proxy=/Id' /etc/environment 2>/dev/null || true
}

identity() {
    # Empty and present: the next start makes a new one, on a read-only /etc too.
    put /etc/machine-id 0444 </dev/null
    if [ -d /var/lib/dbus ]; then
        ln -sfn /etc/machine-id /var/lib/dbus/machine-id
    fi
    put /etc/hostname 0644 <<<localhost
    if [ -f /etc/iscsi/initiatorname.iscsi ]; then
        case $OS_FAMILY in
            debian) put /etc/iscsi/initiatorname.iscsi 0600 <<<GenerateName=yes ;;
            redhat) rm -f /etc/iscsi/initiatorname.iscsi ;; # iscsi-init.service makes a new one
        esac
    fi
    put /etc/hosts 0644 <<'HOSTS'
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
HOSTS
}

network() {
    rm -rf /run/systemd/netif/leases/* /etc/network/interfaces
    if [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; then
        if mountpoint -q /etc/resolv.conf; then
            die "/etc/resolv.conf is mounted from elsewhere and cannot be removed"
        fi
        rm -f /etc/resolv.conf
    fi
    if [ "$OS_FAMILY" = debian ]; then
        ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
    fi
    sed -i '/[[:space:]]\/media\/cdrom[0-9]*[[:space:]]/d' /etc/fstab 2>/dev/null || true
}

cloud_init() {
    have cloud-init || return 0
    cloud-init clean --logs --seed >/dev/null 2>&1 || true
    rm -rf /var/lib/cloud/* /run/cloud-init/* /var/log/cloud-init*
}

logs() {
    if started; then
        journalctl --quiet --rotate || true
        journalctl --quiet --vacuum-time=1s || true
    fi
    rm -rf /var/log/journal/* /run/log/journal/* /var/log/audit/audit.log.* /var/lib/systemd/timers/*
    find /var/log -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.old' -o -name '*.[0-9]' -o -name '*-[0-9]*' \) -delete
    find /var/log -type f -exec truncate --size=0 {} +
}

temporary_files() {
    find /tmp /var/tmp -mindepth 1 -xdev -delete 2>/dev/null || true
}

# zero MOUNTPOINT: the file fills the file system for a moment; nothing else runs any more.
zero() {
    say "zeroes the free space of $1"
    dd if=/dev/zero of="$1/.asyncpipe-zero" bs=1M status=none 2>/dev/null || true
    sync
    rm -f "$1/.asyncpipe-zero"
}

free_space() {
    local where
    [ "$ZERO" != never ] || return 0
    if ! started; then
        say "leaves free space alone: this tree is not started"
        return 0
    fi
    for where in / /boot /boot/efi; do
        mountpoint -q "$where" || continue
        if [ "$ZERO" = always ] || ! fstrim "$where" 2>/dev/null; then
            zero "$where"
        fi
    done
    while read -r where _; do
        swap_again "$where"
    done < <(swapon --show=NAME,TYPE --noheadings 2>/dev/null | awk '$2 == "partition"')
}

# swap_again DEVICE: swap space keeps pieces of memory; the same UUID keeps fstab right.
swap_again() {
    local uuid
    uuid=$(blkid -s UUID -o value "$1")
    swapoff "$1"
    dd if=/dev/zero of="$1" bs=1M status=none 2>/dev/null || true
    mkswap --uuid "$uuid" "$1" >/dev/null
}

labels() {
    if have fixfiles && have selinuxenabled && selinuxenabled; then
        fixfiles -F restore /etc /root /var/log /home >/dev/null 2>&1 || true
    fi
}

require_choice ZERO_FREE_SPACE "$ZERO" auto always never
[[ $BUILD_USER =~ ^[a-z_][a-z0-9_-]*$ ]] || die "BUILD_USER is '$BUILD_USER', which is no user name"
begin
old_kernels
packages
subscription
cloud_init
build_user
secrets
network
identity
logs
temporary_files
leftovers
labels
free_space
sync
say "done: the next log-in is to a new machine"
