# shellcheck shell=bash
# Shared by the provisioning scripts; to be sourced, not run.
#
# Does:     strict mode, messages, the system's identity, package commands that neither ask nor hang,
#           files that are replaced whole or not at all.
# Sets:     OS_ID, OS_VERSION, OS_MAJOR, OS_FAMILY (debian or redhat).
# Needs:    bash 4.4 or later, coreutils, root.

set -Eeuo pipefail
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true \
    NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1 SYSTEMD_PAGER=

PACKAGE_TIMEOUT_S=${PACKAGE_TIMEOUT_S:-1800}
SCRIPT_NAME=${0##*/}

say() {
    printf '[%s] %s\n' "$SCRIPT_NAME" "$*"
}

die() {
    printf '[%s] error: %s\n' "$SCRIPT_NAME" "$*" >&2
    exit 1
}

trap 'printf "[%s] error: \"%s\" failed in line %s\n" "$SCRIPT_NAME" "$BASH_COMMAND" "$LINENO" >&2' ERR

have() {
    command -v "$1" >/dev/null 2>&1
}

# True in a started system, false in a chroot: there services can be enabled but not started.
started() {
    [ -d /run/systemd/system ]
}

require_root() {
    [ "$(id -u)" -eq 0 ] || die "must be run by root"
}

# Nothing is begun on a system whose settings cannot be written.
require_writable_etc() {
    local probe
    probe=$(mktemp /etc/.asyncpipe.XXXXXX 2>/dev/null) || die "/etc is read-only: remount the root file system with write access"
    rm -f "$probe"
}

# True in a guest of Xen; /proc/xen is there only where somebody mounted it.
xen_guest() {
    [ "$(cat /sys/hypervisor/type 2>/dev/null)" = xen ]
}

# require_choice NAME VALUE ALLOWED...
require_choice() {
    local name=$1 value=$2 allowed
    shift 2
    for allowed; do
        [ "$value" = "$allowed" ] && return 0
    done
    die "$name is '$value'; set it to one of: $*"
}

# require_space FOLDER MEBIBYTES: nothing is begun that the disk cannot hold.
require_space() {
    local free_mib
    free_mib=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    [ "$free_mib" -ge "$2" ] || die "$1 has $free_mib MiB free and $2 MiB are needed: enlarge the disk or free space"
}

# os_release KEY: read, not run.
os_release() {
    sed -n "s/^$1=[\"']\{0,1\}\([^\"']*\).*\$/\1/p" /etc/os-release | head -n 1
}

detect_os() {
    [ -r /etc/os-release ] || die "/etc/os-release cannot be read: the system is unknown"
    OS_ID=$(os_release ID)
    OS_VERSION=$(os_release VERSION_ID)
    OS_MAJOR=${OS_VERSION%%.*}
    case "$OS_ID:$OS_VERSION" in
        debian:12 | debian:13 | ubuntu:22.04 | ubuntu:24.04 | ubuntu:26.04) OS_FAMILY=debian ;;
        almalinux:8* | almalinux:9* | almalinux:10* | rocky:8* | rocky:9* | rocky:10*) OS_FAMILY=redhat ;;
        centos:9 | centos:10 | ol:9* | ol:10* | rhel:9* | rhel:10*) OS_FAMILY=redhat ;;
        *) die "'${OS_ID:-?} ${OS_VERSION:-?}' is not supported: Debian 12 and 13, Ubuntu 22.04, 24.04 and 26.04, AlmaLinux and Rocky Linux 8 to 10, CentOS Stream, Oracle Linux and RHEL 9 and 10 are" ;;
    esac
    export OS_ID OS_VERSION OS_MAJOR OS_FAMILY
}

begin() {
    begin_reading
    require_writable_etc
}

# For a script that changes nothing.
begin_reading() {
    require_root
    detect_os
    say "begins on $OS_ID $OS_VERSION"
}

# --- packages -------------------------------------------------------------------------------------

apt_get() {
    timeout --kill-after=30 "$PACKAGE_TIMEOUT_S" apt-get --quiet --quiet --yes \
        -o APT::Update::Error-Mode=any -o Acquire::Retries=3 -o Acquire::http::Timeout=30 \
        -o Acquire::https::Timeout=30 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Apt::Cmd::Disable-Script-Warning=true \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

dnf_run() {
    timeout --kill-after=30 "$PACKAGE_TIMEOUT_S" dnf --quiet --assumeyes \
        --setopt=timeout=30 --setopt=retries=3 --setopt=install_weak_deps=False "$@" </dev/null
}

# The scripts of a phase read the lists once. The mark goes with a restart and with the clean-up.
LISTS_MARK=/run/asyncpipe-package-lists

package_lists() {
    [ -z "$(find "$LISTS_MARK" -mmin -30 2>/dev/null || true)" ] || return 0
    case $OS_FAMILY in
        debian) apt_get update ;;
        redhat) dnf_run makecache ;;
    esac || die "the package lists cannot be read: check the network, the mirror and http_proxy"
    : >"$LISTS_MARK"
}

package_installed() {
    case $OS_FAMILY in
        debian) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
        redhat) rpm --quiet -q "$1" ;;
    esac
}

package_version() {
    case $OS_FAMILY in
        debian) dpkg-query -W -f '${Version}' "$1" ;;
        redhat) rpm -q --qf '%{VERSION}' "$1" ;;
    esac
}

package_offered() {
    case $OS_FAMILY in
        # No pipe into a grep that stops reading: under pipefail its writer's SIGPIPE would be the answer.
        debian) grep -q 'Candidate: [^(]' <<<"$(apt-cache policy "$1" 2>/dev/null)" ;;
        redhat) dnf_run list --available "$1" >/dev/null 2>&1 ;;
    esac
}

# install_packages NAME...: those that are missing, in one transaction.
install_packages() {
    local name missing=()
    for name; do
        package_installed "$name" || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installs ${missing[*]}"
    case $OS_FAMILY in
        debian) apt_get install --no-install-recommends "${missing[@]}" ;;
        redhat) dnf_run install "${missing[@]}" ;;
    esac || die "could not install ${missing[*]}: check the network, the mirror and http_proxy"
}

# --- files and services ---------------------------------------------------------------------------

# put FILE MODE <CONTENT: writes beside it and renames, so that the file is the old or the new one.
put() {
    local file=$1 mode=$2 new
    mkdir -p "$(dirname "$file")"
    new=$(mktemp "$(dirname "$file")/.asyncpipe.XXXXXX")
    if ! cat >"$new"; then
        rm -f "$new"
        die "$file cannot be written: is the disk full?"
    fi
    chmod "$mode" "$new"
    if [ -f "$file" ] && cmp -s "$file" "$new" && [ "$(stat -c %a "$file")" = "$(stat -c %a "$new")" ]; then
        rm -f "$new"
        return 0
    fi
    mv -f "$new" "$file"
    say "wrote $file"
}

unit_exists() {
    [ -n "$(systemctl list-unit-files --no-legend "$1" 2>/dev/null)" ]
}

enable_unit() {
    systemctl --quiet enable "$1"
    if started; then
        systemctl restart "$1" || die "$1 does not start: see journalctl -u $1"
    fi
}

# What a server does not need: harden_system.sh masks it, verify_settings.sh looks.
# shellcheck disable=SC2034
UNNEEDED_UNITS=(avahi-daemon.socket avahi-daemon.service cups.socket cups.service rpcbind.socket rpcbind.service
    ModemManager.service bluetooth.service apport.service whoopsie.service cockpit.socket kdump.service
    debug-shell.service ctrl-alt-del.target)

disable_unit() {
    unit_exists "$1" || return 0
    systemctl --quiet disable "$1" 2>/dev/null || true
    if started; then
        systemctl --quiet stop "$1" || true
    fi
    systemctl --quiet mask "$1"
}
