#!/bin/bash
# Brings the system to the newest packages of its release.
#
# Does:     full upgrade, removal of what nothing needs any more, then a restart if a newer kernel is
#           installed than runs. With --check: waits until the system has started and proves that
#           the newest kernel runs. A second run finds nothing to do.
# Variables: http_proxy, https_proxy (optional)
#           UPDATE_REBOOT      true (default) or false
#           PACKAGE_TIMEOUT_S  limit of one package command, default 1800
# Needs:    root, the package mirrors, 1 GiB free on / and 100 MiB on /boot.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

newest_kernel() {
    find /boot -maxdepth 1 -name 'vmlinuz-*' ! -name '*rescue*' -printf '%f\n' 2>/dev/null |
        sed 's/^vmlinuz-//' | sort -V | tail -n 1
}

restart_needed() {
    local newest
    started || return 1
    newest=$(newest_kernel)
    [ -e /run/reboot-required ] || { [ -n "$newest" ] && [ "$newest" != "$(uname -r)" ]; }
}

upgrade() {
    require_space / 1024
    require_space /boot 100
    package_lists
    case $OS_FAMILY in
        debian)
            apt_get dist-upgrade || die "the upgrade failed: see the messages of apt above"
            apt_get autoremove --purge
            ;;
        redhat)
            dnf_run upgrade --refresh || die "the upgrade failed: see the messages of dnf above"
            dnf_run autoremove
            ;;
    esac
}

check() {
    started || return 0
    # 'degraded' has an exit code of its own and is no reason to stop.
    timeout 300 systemctl is-system-running --wait >/dev/null || true
    if have cloud-init; then
        timeout 300 cloud-init status --wait >/dev/null || true
    fi
    if restart_needed; then
        die "kernel $(uname -r) runs and $(newest_kernel) is installed: the restart did not happen"
    fi
}

require_choice UPDATE_REBOOT "${UPDATE_REBOOT:-true}" true false
begin
case ${1:-} in
    "")
        upgrade
        say "is up to date"
        if [ "${UPDATE_REBOOT:-true}" = true ] && restart_needed; then
            say "restarts for kernel $(newest_kernel)"
            systemctl --no-block reboot
        fi
        ;;
    --check) check ;;
    *) die "unknown argument '$1'; there is only --check" ;;
esac
