#!/bin/bash
# Has the system keep its clock right by NTP.
#
# Does:     Debian and Ubuntu: systemd-timesyncd, unless chrony or ntpsec is there already; the Red Hat
#           family: chrony. Both also take the servers that DHCP names.
# Variables: NTP_SERVERS  names with blanks between; empty leaves the distribution's
# Needs:    root, the package mirrors.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SERVERS=${NTP_SERVERS:-}

timesyncd() {
    install_packages systemd-timesyncd
    if [ -n "$SERVERS" ]; then
        put /etc/systemd/timesyncd.conf.d/asyncpipe.conf 0644 <<<"[Time]
NTP=$SERVERS"
    fi
    enable_unit systemd-timesyncd.service
}

# chrony CONF: its own servers go where others are named.
chrony() {
    local name lines
    if [ -n "$SERVERS" ]; then
        lines=$(grep -Ev '^[[:space:]]*(pool|server)[[:space:]]' "$1")
        put "$1" 0644 <<<"$lines
$(for name in $SERVERS; do printf 'server %s iburst\n' "$name"; done)"
    fi
    enable_unit "$2"
}

[[ $SERVERS =~ ^[A-Za-z0-9.:\ -]*$ ]] || die "NTP_SERVERS is '$SERVERS'; set it to host names or addresses with blanks between"
begin
case $OS_FAMILY in
    debian)
        if package_installed chrony; then
            chrony /etc/chrony/chrony.conf chrony.service
        elif package_installed ntpsec; then
            [ -z "$SERVERS" ] || die "NTP_SERVERS is set and ntpsec is installed, which this script does not configure: remove it or the variable"
            enable_unit ntpsec.service
        else
            package_lists
            timesyncd
        fi
        ;;
    redhat)
        package_installed chrony || package_lists
        install_packages chrony
        chrony /etc/chrony.conf chronyd.service
        ;;
esac
say "done: the clock is kept by NTP${SERVERS:+ from $SERVERS}"
