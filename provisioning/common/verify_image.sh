#!/bin/bash
# Proves that the clean-up and the hardening are in the image, then says what the image is.
#
# Does:     checks everything, names every failure, and exits 1 if there is one, which fails the build.
#           Of each setting it is the value in force that counts, as its own reader says it
#           (verify_settings.sh), not the file that was written. With --settings only that is checked,
#           in a running clone too. If all is well, prints the evidence that the pipeline stores: one marked line each, so
#           that other output in between does no harm, counted at the end.
# Variables: BUILD_USER         the build's user, default packer
#           HARDENING_PROFILE  the profile that must have been set, default baseline
#           ALLOW_FORWARDING, AUTOMATIC_UPDATES, CLOUD_INIT_DATASOURCES  likewise
# Needs:    root; changes nothing.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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
    local what=$1 pattern path
    shift
    for pattern; do
        while read -r path; do
            failure "$what is left: $path"
        done < <(compgen -G "$pattern" || true)
    done
}

# holds TEXT COMMAND...: the command succeeds.
holds() {
    local text=$1
    shift
    "$@" >/dev/null 2>&1 || failure "$text"
}

check_leftovers() {
    local pattern what size_kib
    while IFS=$'\t' read -r pattern what; do
        [[ $pattern != /* ]] || absent "$what" "$pattern"
    done <"$here/leftovers.tsv"
    absent "the refusal to start services" /usr/sbin/policy-rc.d
    absent "a list or archive of packages" '/var/lib/apt/lists/*_Packages*' '/var/cache/apt/archives/*.deb' '/var/cache/dnf/*'
    size_kib=$(du -sk /var/log | cut -f1)
    [ "$size_kib" -le 20480 ] || failure "/var/log holds $size_kib KiB"
}

check_identity() {
    local entry
    if [ ! -f /etc/machine-id ] || { [ -s /etc/machine-id ] && [ "$(cat /etc/machine-id)" != uninitialized ]; }; then
        failure "/etc/machine-id must be there and empty"
    fi
    if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then
        failure "/var/lib/dbus/machine-id must be a link to /etc/machine-id"
    fi
    if [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; then
        failure "/etc/resolv.conf is the build's"
    fi
    if [ -f /etc/iscsi/initiatorname.iscsi ] && ! grep -qx GenerateName=yes /etc/iscsi/initiatorname.iscsi; then
        failure "the iSCSI initiator's name is left: /etc/iscsi/initiatorname.iscsi"
    fi
    entry=$(compgen -G '/boot/loader/entries/*.conf' | head -n 1 || true)
    if [ -n "$entry" ]; then
        holds "nothing names the boot entries after a clone" enabled asyncpipe-boot-entries.service
    fi
}

check_accounts() {
    local name uid shell
    absent "an authorized key" '/root/.ssh/authorized_keys*' '/home/*/.ssh/authorized_keys*'
    absent "a history" '/root/.*_history' '/home/*/.*_history'
    absent "a right of the build" '/etc/sudoers.d/*asyncpipe*'
    absent "a secret" '/root/.netrc' '/root/.ssh/id_*' '/root/.pgpass' '/root/.aws' '/root/.docker'
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

enabled() {
    [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ]
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
            if started && xen_guest; then
                holds "$unit does not run" systemctl is-active --quiet "$unit"
            fi
            return 0
        fi
    done
    failure "no Xen guest agent is enabled"
}

# shellcheck source=provisioning/common/verify_settings.sh
. "$here/verify_settings.sh"

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
begin_reading
case ${1:-} in
    "") ;;
    --settings)
        check_settings
        [ "$FAILURES" -eq 0 ] || die "$FAILURES setting(s) are not in force, see above"
        say "all settings are in force"
        exit 0
        ;;
    *) die "unknown argument '$1'; there is only --settings" ;;
esac
check_leftovers
check_identity
check_accounts
check_settings
check_xen
[ "$FAILURES" -eq 0 ] || die "the image is not fit to be published: $FAILURES check(s) failed, see above"
say "all checks passed"
print_evidence
