#!/bin/bash
# Where the Red Hat family's packages come from, before the first of them is asked for.
#
# Does:     with a mirror: makes it the only source, now and in the template, because in a network whose
#           only way is that mirror the distribution's own would time out for ever. With an
#           organization and an activation key (RHEL): registers the build's system; cleanup.sh ends
#           that, so that no clone is the build's system to Red Hat.
# Variables: PACKAGE_MIRROR            folder of the mirror; empty leaves the distribution's sources
#           PACKAGE_MIRROR_BASE       end of the BaseOS folder, default BaseOS/x86_64/os/
#           PACKAGE_MIRROR_APPSTREAM  likewise, default AppStream/x86_64/os/
#           RHSM_ORGANIZATION, RHSM_ACTIVATION_KEY  both or neither
# Needs:    root.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

MIRROR=${PACKAGE_MIRROR:-}
ORGANIZATION=${RHSM_ORGANIZATION:-}

mirror() {
    local file=/etc/yum.repos.d/asyncpipe.repo name
    {
        repository BaseOS "${PACKAGE_MIRROR_BASE:-BaseOS/x86_64/os/}"
        repository AppStream "${PACKAGE_MIRROR_APPSTREAM:-AppStream/x86_64/os/}"
    } | put "$file" 0644
    for name in /etc/yum.repos.d/*.repo; do
        if [ "$name" != "$file" ] && grep -q '^enabled *= *1' "$name"; then
            sed -i 's/^enabled *= *1/enabled=0/' "$name"
            say "switched off $name"
        fi
    done
}

# repository NAME PATH: signed by the keys that the system brings.
repository() {
    local keys
    keys=$(find /etc/pki/rpm-gpg -name 'RPM-GPG-KEY-*' -printf 'file://%p ' 2>/dev/null || true)
    printf '[asyncpipe-%s]\nname=%s from %s\nbaseurl=%s/%s\ngpgcheck=1\ngpgkey=%s\nenabled=1\n\n' \
        "$1" "$1" "$MIRROR" "$MIRROR" "$2" "${keys% }"
}

register() {
    have subscription-manager || die "RHSM_ORGANIZATION is set, and this system has no subscription-manager: it is for RHEL"
    if [ -e /etc/pki/consumer/cert.pem ]; then
        say "is registered already"
        return 0
    fi
    timeout 300 subscription-manager register --force --org "$ORGANIZATION" --activationkey "$RHSM_ACTIVATION_KEY" >/dev/null 2>&1 ||
        die "Red Hat refuses to register this system: check the organization, the activation key and the network"
    say "is registered until the clean-up"
}

[[ $MIRROR =~ ^(https?://[^[:space:]@]+)?$ ]] || die "PACKAGE_MIRROR must be an http:// or https:// URL without user and password"
if [ -n "$ORGANIZATION" ] && [ -z "${RHSM_ACTIVATION_KEY:-}" ]; then
    die "RHSM_ORGANIZATION is set without RHSM_ACTIVATION_KEY: give both or neither"
fi
begin
[ "$OS_FAMILY" = redhat ] || die "this script is for the Red Hat family, not for $OS_ID"
rm -f "$LISTS_MARK"
[ -z "$MIRROR" ] || mirror
[ -z "$ORGANIZATION" ] || register
say "done"
