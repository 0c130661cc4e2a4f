#!/bin/bash
# The order of the provisioning, in one place for every template.
#
# Does:     update     the family's package sources, full upgrade; restarts the machine when a newer kernel waits
#           configure  waits until the machine is up, then the family's settings, cloud-init, the clock,
#                      the Xen guest agent, the hardening of the system and of SSH
#           finish     the clean-up, its verification, the evidence; removes these scripts
# Uses:     the variables of the scripts it calls; each names its own.
# Needs:    root, and this folder with its siblings, in a build at /var/lib/asyncpipe.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd / # the home of the build's account goes in the clean-up

family() {
    if grep -Eq '^ID="?(debian|ubuntu)"?$' /etc/os-release; then
        echo debian
    else
        echo redhat
    fi
}

main() {
    local script
    case ${1:-} in
        update)
            script=$(family)
            if [ -f "$here/$script/package_sources.sh" ]; then
                bash "$here/$script/package_sources.sh"
            fi
            bash "$here/xen/install_xen_tools.sh" --check
            bash "$here/common/update_system.sh"
            ;;
        configure)
            bash "$here/common/update_system.sh" --check
            script=$(family)
            bash "$here/$script/${script}_specific.sh"
            bash "$here/common/set_up_cloud_init.sh"
            bash "$here/common/set_up_growth.sh"
            bash "$here/common/set_up_clock.sh"
            bash "$here/xen/install_xen_tools.sh"
            bash "$here/common/harden_system.sh"
            bash "$here/common/harden_ssh.sh"
            ;;
        finish)
            bash "$here/common/cleanup.sh"
            bash "$here/common/verify_image.sh"
            case $here in /var/lib/asyncpipe) rm -rf "$here" ;; esac
            sync
            ;;
        *)
            echo "usage: provision.sh update|configure|finish" >&2
            exit 2
            ;;
    esac
}

# The shell has read all of this before the folder goes.
main "$@"
exit
