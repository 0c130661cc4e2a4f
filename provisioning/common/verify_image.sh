#!/bin/bash
# Proves that the clean-up and the hardening are in the image, then says what the image is.
#
# Does:     checks everything, names every failure, and exits 1 if there is one, which fails the build.
#           If all is well, prints the evidence that the pipeline stores: one marked line each, so
#           that other output in between does no harm, counted at the end.
# Variables: BUILD_USER         the build's user, default packer
#           HARDENING_PROFILE  the profile that must have been set, default baseline
# Needs:    root; changes nothing.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD_USER=${BUILD_USER:-packer}
PROFILE=${HARDENING_PROFILE:-baseline}
MARK=asyncpipe-evidence/1
FAILURES=0

failure() {
    FAILURES=$((FAILURES + 1))
    printf '[%s] FAILED: %s\n' "$SCRIPT_NAME" "$*" >&2
}

# absent WHAT PATTERN...: no such file or folder, patterns expanded here.
absent() {
    local what=$1 path
    shift
    for path in $(compgen -G "$1" || true) ${2:+$(compgen -G "$2" || true)} ${3:+$(compgen -G "$3" || true)} ${4:+$(compgen -G "$4" || true)}; do
        failure "$what: $path"
    done
}

# holds TEXT COMMAND...: the command succeeds.
holds() {
    local text=$1
    shift
    "$@" >/dev/null 2>&1 || failure "$text"
}

check_identity() {
    absent "an SSH host key is left" '/etc/ssh/ssh_host_*'
    absent "a random seed is left" /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /boot/efi/loader/random-seed
    absent "cloud-init's state is left" '/var/lib/cloud/instance*' '/var/lib/cloud/data/*' /etc/cloud/cloud-init.disabled
    absent "a lease is left" '/var/lib/dhcp/*' '/var/lib/NetworkManager/*' '/var/lib/systemd/network/*' '/var/lib/dhcpcd/*'
    absent "a network configuration of the build is left" '/etc/netplan/*' '/etc/NetworkManager/system-connections/*' '/etc/network/interfaces.d/*' '/etc/udev/rules.d/70-persistent-*'
    if [ ! -f /etc/machine-id ] || { [ -s /etc/machine-id ] && [ "$(cat /etc/machine-id)" != uninitialized ]; }; then
        failure "/etc/machine-id must be there and empty"
    fi
    if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then
        failure "/var/lib/dbus/machine-id must be a link to /etc/machine-id"
    fi
    if [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; then
        failure "/etc/resolv.conf is the build's"
    fi
}

check_accounts() {
    local name uid shell
    absent "authorized keys are left" '/root/.ssh/authorized_keys*' '/home/*/.ssh/authorized_keys*'
    absent "a history is left" '/root/.*_history' '/home/*/.*_history'
    absent "a right of the build is left" '/etc/sudoers.d/*asyncpipe*' '/etc/sudoers.d/90-cloud-init-users' '/etc/ssh/sshd_config.d/*asyncpipe-build*' '/etc/systemd/system/asyncpipe-announce.service'
    absent "a secret is left" '/root/.netrc' '/etc/apt/auth.conf.d/*' '/etc/pki/consumer/*.pem' '/root/anaconda-ks.cfg'
    while IFS=: read -r name _ uid _ _ _ shell; do
        if [ "$uid" -ge 1000 ] && [ "$uid" -lt 60000 ]; then
            failure "the user $name (uid $uid, shell $shell) is left"
        elif [ "$uid" -eq 0 ] && [ "$name" != root ]; then
            failure "$name has uid 0"
        fi
    done </etc/passwd
    # A hash starts with $ (or, of old, has 13 characters); *, ! and x are none.
    while IFS=: read -r name uid _; do
        case $uid in
            "") failure "$name has an empty password" ;;
            '*' | '!' | '!!' | '!*' | '*LK*' | '!$'* | '!'?) ;;
            *) failure "$name has a password" ;;
        esac
    done </etc/shadow
    holds "the user $BUILD_USER is left" test ! -d "/home/$BUILD_USER"
}

check_leftovers() {
    local size_kib
    absent "installers' traces are left" '/var/log/installer' '/var/log/anaconda' '/var/crash/*' '/var/lib/systemd/coredump/*'
    absent "package lists are left" '/var/lib/apt/lists/*_Packages*' '/var/cache/apt/archives/*.deb' '/var/cache/dnf/*'
    absent "a proxy of the build is left" '/etc/apt/apt.conf.d/*proxy*' '/etc/profile.d/*proxy*.sh'
    size_kib=$(du -sk /var/log | cut -f1)
    [ "$size_kib" -le 20480 ] || failure "/var/log holds $size_kib KiB"
}

enabled() {
    [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ]
}

# sshd_says KEY VALUE: what sshd itself makes of all its files.
check_ssh() {
    local work line effective
    work=$(mktemp -d)
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    if effective=$("$(command -v sshd || echo /usr/sbin/sshd)" -T -h "$work/key" 2>&1); then
        for line in "permitrootlogin no" "passwordauthentication no" "kbdinteractiveauthentication no" "permitemptypasswords no" "x11forwarding no"; do
            grep -qix -- "$line" <<<"$effective" || failure "sshd does not say '$line'"
        done
    else
        failure "sshd refuses its configuration: $effective"
    fi
    rm -rf "$work"
}

check_hardening() {
    holds "the hardening profile is not '$PROFILE'" grep -qx "$PROFILE" /usr/share/asyncpipe/hardening-profile
    holds "kernel settings are missing" grep -q '^kernel.kptr_restrict = 2$' /etc/sysctl.d/90-asyncpipe.conf
    holds "core dumps are not switched off" test -f /etc/security/limits.d/90-asyncpipe.conf
    case $OS_FAMILY in
        debian)
            holds "the firewall is not enabled" enabled nftables.service
            holds "nft refuses /etc/nftables.conf" nft --check --file /etc/nftables.conf
            holds "nobody makes SSH host keys on first boot" enabled asyncpipe-host-keys.service
            ;;
        redhat) holds "the firewall is not enabled" enabled firewalld.service ;;
    esac
    if [ "$PROFILE" != minimal ]; then
        holds "network settings are missing" grep -q '^net.ipv4.conf.all.rp_filter = 1$' /etc/sysctl.d/90-asyncpipe.conf
        holds "auditd is not enabled" enabled auditd.service
        holds "audit rules are missing" test -s /etc/audit/rules.d/50-asyncpipe.rules
        holds "kernel modules are not blocked" test -s /etc/modprobe.d/90-asyncpipe.conf
        holds "password rules are missing" test -s /etc/security/pwquality.conf.d/90-asyncpipe.conf
        holds "failed logins are not counted" grep -Rq pam_faillock /etc/pam.d
    fi
}

agent() {
    local name
    for name in xen-guest-agent xe-guest-utilities-latest xe-guest-utilities; do
        if package_installed "$name"; then
            printf '%s %s' "$name" "$(package_version "$name")"
            return 0
        fi
    done
    return 1
}

check_xen() {
    local unit
    agent >/dev/null || failure "there is no Xen guest agent"
    for unit in xen-guest-agent.service xe-linux-distribution.service xe-daemon.service; do
        if enabled "$unit"; then
            return 0
        fi
    done
    failure "no Xen guest agent is enabled"
}

evidence() {
    sed -n 's/^\([A-Z0-9_]\{1,\}=.*\)$/os-release \1/p' /etc/os-release
    if [ "$OS_ID" = debian ] && [ -s /etc/debian_version ]; then
        printf 'debian-version %s\n' "$(cat /etc/debian_version)"
    fi
    printf 'kernel %s\n' "$(kernel)"
    printf 'arch %s\n' "$(uname -m)"
    printf 'hardening-profile %s\n' "$PROFILE"
    printf 'agent %s\n' "$(agent)"
    case $OS_FAMILY in
        debian) dpkg-query -W -f '${db:Status-Status} package ${Package} ${Version} ${Architecture}\n' | sed -n 's/^installed //p' ;;
        redhat) rpm -qa --qf 'package %{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n' | sed 's/^\(package [^ ]* \)0:/\1/' ;;
    esac | grep -v '^package gpg-pubkey ' | sort
}

# The kernel that the image starts with, which is the newest one installed.
kernel() {
    local newest
    newest=$(find /boot -maxdepth 1 -name 'vmlinuz-*' ! -name '*rescue*' -printf '%f\n' 2>/dev/null | sed 's/^vmlinuz-//' | sort -V | tail -n 1)
    printf '%s' "${newest:-$(uname -r)}"
}

print_evidence() {
    local lines
    lines=$(evidence)
    printf '%s begin\n' "$MARK"
    printf '%s\n' "$lines" | sed "s|^|$MARK |"
    printf '%s end %s\n' "$MARK" "$(wc -l <<<"$lines")"
}

require_choice HARDENING_PROFILE "$PROFILE" minimal baseline strict
begin
check_identity
check_accounts
check_leftovers
check_ssh
check_hardening
check_xen
[ "$FAILURES" -eq 0 ] || die "the image is not fit to be published: $FAILURES check(s) failed, see above"
say "all checks passed"
print_evidence
