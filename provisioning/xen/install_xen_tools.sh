#!/bin/bash
# Installs the guest agent, which reports address, memory and system to XAPI and Xen Orchestra.
#
# Does:     takes the agent from the source asked for, enables its service and sees it run. 'auto'
#           tries the distribution (EPEL for the Red Hat family), then the guest tools image if one is
#           in a drive, then XenServer's release if its SHA-256 is given. The distribution's package is
#           taken from 7.30 on only: earlier ones do not know interfaces named enX0 and report no
#           address. Nothing is installed from a download whose SHA-256 was not given and compared.
#           With --check: says whether a source can serve, before anything is changed.
# Variables: XEN_TOOLS_SOURCE   auto (default), distribution, release, url, iso
#           XEN_TOOLS_RELEASE  version of the release, default 8.4.0
#           XEN_TOOLS_URL      package to download for 'url' (.deb or .rpm)
#           XEN_TOOLS_SHA256   SHA-256 of the package for 'url' and 'release', required with both; the
#                              release has two packages for the Red Hat family: both sums, a blank between
#           http_proxy, https_proxy (optional)
# Needs:    root, the package mirrors; for 'iso' the guest tools image in a drive of the VM.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"

SOURCE=${XEN_TOOLS_SOURCE:-auto}
RELEASE=${XEN_TOOLS_RELEASE:-8.4.0}
MINIMUM=7.30.0

AGENTS=(xe-guest-utilities xe-guest-utilities-latest xen-guest-agent)

installed_agent() {
    local name
    for name in "${AGENTS[@]}"; do
        if package_installed "$name"; then
            printf '%s' "$name"
            return 0
        fi
    done
    return 1
}

new_enough() {
    [ "$(printf '%s\n%s\n' "$MINIMUM" "$1" | sort -V | head -n 1)" = "$MINIMUM" ]
}

# offered_version NAME: that of the package lists, empty if there is none.
offered_version() {
    case $OS_FAMILY in
        debian) apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([^(].*\)$/\1/p' ;;
        redhat) dnf_run repoquery --latest-limit=1 --qf '%{version}' "$1" 2>/dev/null | grep -m 1 . || true ;;
    esac
}

from_distribution() {
    local name version
    # EPEL stays out of the template: only its one package comes from there.
    if [ "$OS_FAMILY" = redhat ] && ! package_installed epel-release; then
        dnf_run install epel-release || return 1
        trap 'dnf_run remove epel-release >/dev/null 2>&1 || true' EXIT
    fi
    for name in "${AGENTS[@]}"; do
        version=$(offered_version "$name")
        [ -n "$version" ] || continue
        if ! new_enough "${version#*:}"; then
            say "passes over $name $version: it reports no address of enX0"
            continue
        fi
        install_packages "$name"
        return 0
    done
    return 1
}

# fetch URL FILE SHA256
fetch() {
    install_packages curl ca-certificates
    timeout 300 curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 \
        --connect-timeout 30 --retry 3 --output "$2" "$1" || return 1
    printf '%s  %s\n' "$3" "$2" | sha256sum --check --quiet >/dev/null 2>&1 ||
        die "$1 has the SHA-256 $(sha256sum <"$2" | cut -d ' ' -f 1), not $3: nothing was installed"
}

install_files() {
    case $OS_FAMILY in
        debian) apt_get install --no-install-recommends "$@" ;;
        redhat) dnf_run install "$@" ;;
    esac || die "could not install $*"
}

from_release() {
    local base=https://github.com/xenserver/xe-guest-utilities/releases/download/v$RELEASE files=() sums i
    read -r -a sums <<<"${XEN_TOOLS_SHA256:-}"
    case $OS_FAMILY in
        debian) files=("xe-guest-utilities_$RELEASE-1_amd64.deb") ;;
        redhat) files=("xe-guest-utilities-$RELEASE-1.x86_64.rpm" "xe-guest-utilities-xenstore-$RELEASE-1.x86_64.rpm") ;;
    esac
    if [ "${#sums[@]}" -ne "${#files[@]}" ]; then
        say "passes over the release: XEN_TOOLS_SHA256 has ${#sums[@]} of the ${#files[@]} sum(s) of ${files[*]}"
        return 1
    fi
    for i in "${!files[@]}"; do
        fetch "$base/${files[i]}" "$work/${files[i]}" "${sums[i]}" || return 1
    done
    install_files "${files[@]/#/$work/}"
}

from_url() {
    local file=$work/${XEN_TOOLS_URL##*/}
    fetch "$XEN_TOOLS_URL" "$file" "$XEN_TOOLS_SHA256" || return 1
    install_files "$file"
}

from_iso() {
    local drive found=() pattern='xe-guest-utilities*amd64.deb'
    [ "$OS_FAMILY" = debian ] || pattern='xe-guest-utilities*x86_64.rpm'
    mkdir -p "$work/iso"
    for drive in /dev/sr*; do
        [ -b "$drive" ] || continue
        mount -o ro,nosuid,nodev,noexec "$drive" "$work/iso" 2>/dev/null || continue
        mapfile -t found < <(find "$work/iso/Linux" -name "$pattern" 2>/dev/null)
        [ "${#found[@]}" -eq 0 ] || install_files "${found[@]}"
        umount "$work/iso"
        [ "${#found[@]}" -eq 0 ] || return 0
    done
    return 1
}

install_agent() {
    local source
    case $SOURCE in
        auto) set -- distribution iso release ;;
        *) set -- "$SOURCE" ;;
    esac
    for source; do
        say "tries the source '$source'"
        if "from_$source"; then
            return 0
        fi
    done
    no_agent "$@"
}

# A build must not fail for this after the whole upgrade.
check() {
    local drive name version
    if [ "$SOURCE" != auto ] || installed_agent >/dev/null || [ -n "${XEN_TOOLS_SHA256:-}" ] || [ "$OS_FAMILY" = redhat ]; then
        return 0
    fi
    for drive in /dev/sr*; do
        if [ -b "$drive" ] && blkid "$drive" >/dev/null 2>&1; then
            return 0
        fi
    done
    package_lists
    for name in "${AGENTS[@]}"; do
        version=$(offered_version "$name")
        if [ -n "$version" ] && new_enough "${version#*:}"; then
            return 0
        fi
    done
    no_agent distribution iso release
}

no_agent() {
    die "found no guest agent for $OS_ID $OS_VERSION in: $*. Attach the guest tools image (tools_iso_name), or set XEN_TOOLS_SHA256 (guest_agent_sha256) to the sum of XenServer's release $RELEASE, or XEN_TOOLS_URL too for a package of yours"
}

enable_agent() {
    local unit
    # The upstream packages bring an init script or a unit of one of these names.
    for unit in xen-guest-agent.service xe-linux-distribution.service xe-daemon.service; do
        if unit_exists "$unit" || [ -x "/etc/init.d/${unit%.service}" ]; then
            systemctl --quiet enable "$unit"
            if started && xen_guest; then
                systemctl restart "$unit"
                systemctl is-active --quiet "$unit" || die "$unit is installed and does not run: see journalctl -u $unit"
                say "$unit runs"
            else
                say "$unit is enabled; it is not started, because this is not a running Xen guest"
            fi
            return 0
        fi
    done
    die "$(installed_agent) brings no service that is known: nothing would report the address"
}

require_choice XEN_TOOLS_SOURCE "$SOURCE" auto distribution release url iso
if [ "$SOURCE" = url ]; then
    [[ ${XEN_TOOLS_URL:-} == https://*.@(deb|rpm) ]] || die "XEN_TOOLS_URL must be an https:// URL that ends in .deb or .rpm"
    [[ ${XEN_TOOLS_SHA256:-} =~ ^[0-9a-f]{64}$ ]] || die "XEN_TOOLS_SHA256 must hold the package's SHA-256, 64 lower-case hex digits"
fi
sums_of_64_digits='^[0-9a-f]{64}( [0-9a-f]{64})?$'
if [ "$SOURCE" = release ] || [ -n "${XEN_TOOLS_SHA256:-}" ]; then
    [[ ${XEN_TOOLS_SHA256:-} =~ $sums_of_64_digits ]] || die "XEN_TOOLS_SHA256 must hold the package's SHA-256, 64 lower-case hex digits"
fi
begin
case ${1:-} in
    "") ;;
    --check)
        check
        exit 0
        ;;
    *) die "unknown argument '$1'; there is only --check" ;;
esac
require_space / 128
if name=$(installed_agent); then
    say "$name $(package_version "$name") is installed"
else
    package_lists
    work=$(mktemp -d)
    # apt reads the package as its own user.
    chmod 0755 "$work"
    install_agent
    rm -rf "$work"
fi
enable_agent
