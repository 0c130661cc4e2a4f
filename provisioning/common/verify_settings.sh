# shellcheck shell=bash
# The settings in force, each said by the program that reads it; sourced by verify_image.sh.
#
# Does:     asks cloud-init, sshd, systemd, PAM, apt, nft, the name service and the boot loader what they
#           make of all their files. In a system that is not started the kernel's settings are those that
#           systemd would set.
# Needs:    verify_image.sh.

FORWARDING=${ALLOW_FORWARDING:-false}
UPDATES=${AUTOMATIC_UPDATES:-true}
DATASOURCES=${CLOUD_INIT_DATASOURCES:-NoCloud ConfigDrive None}

# is WHAT FOUND WANTED
is() {
    [ "$2" = "$3" ] || failure "$1 is '$2', not '$3'"
}

check_settings() {
    holds "the hardening profile is not '$PROFILE'" grep -qx "$PROFILE" /usr/share/asyncpipe/hardening-profile
    check_cloud_init
    check_network
    check_clock
    check_locale
    check_ssh
    check_firewall
    check_kernel
    check_sessions
    check_updates
    check_boot
    [ "$PROFILE" = minimal ] || check_baseline
}

# --- a clone's first start -------------------------------------------------------------------------

# What cloud-init reads from all its files, in their order.
check_cloud_init() {
    local python said
    python=$(sed -n '1s/^#! *\([^ ]*\).*$/\1/p' "$(command -v cloud-init)" || true)
    said=$("${python:-python3}" -c '
from cloudinit import util
from cloudinit.config import schema
config = util.read_conf_with_confd("/etc/cloud/cloud.cfg")
print(" ".join(config.get("datasource_list", [])))
print(" ".join(config.get("ssh_genkeytypes", [])))
print(config.get("ssh_pwauth"), config.get("disable_root"), config.get("resize_rootfs"))
print((config.get("growpart") or {}).get("mode"), config.get("network") is None)
print((config.get("warnings") or {}).get("dsid_missing_source"), config.get("locale"))
try:
    schema.validate_cloudconfig_schema(config, strict=True)
except schema.SchemaValidationError as error:
    # Without a path: keys of the system, which the schema of a user does not have.
    print(*(f"{problem[0]}: {problem[1]}" for problem in error.schema_errors if problem[0]))
' 2>&1) || {
        failure "cloud-init cannot read its configuration: $said"
        return 0
    }
    is "cloud-init's datasource_list" "$(sed -n 1p <<<"$said")" "$DATASOURCES"
    is "cloud-init's ssh_genkeytypes" "$(sed -n 2p <<<"$said")" "ed25519 rsa"
    is "cloud-init's ssh_pwauth, disable_root, resize_rootfs" "$(sed -n 3p <<<"$said")" "False True True"
    is "cloud-init's growpart, and no network of the build's" "$(sed -n 4p <<<"$said")" "auto True"
    is "cloud-init's warning of no drive, and its locale" "$(sed -n 5p <<<"$said")" "False false"
    is "what cloud-init's own schema says of its configuration" "$(sed -n 6p <<<"$said")" ""
    holds "cloud-init does not start without a drive" grep -q 'notfound=enabled' /etc/cloud/ds-identify.cfg
    holds "cloud-init is switched off" test ! -e /etc/cloud/cloud-init.disabled
}

check_network() {
    local name
    if [ "$OS_FAMILY" = debian ]; then
        holds "netplan is missing" netplan get
        for name in systemd-networkd systemd-resolved; do
            holds "$name is not enabled" enabled "$name.service"
        done
        for name in ifupdown dhcpcd resolvconf openresolv; do
            if package_installed "$name"; then
                failure "$name is installed beside systemd-networkd"
            fi
        done
        holds "nobody makes SSH host keys on first boot" enabled asyncpipe-host-keys.service
    fi
    # The name that a clone gets is in no file: sudo would complain at each call.
    # shellcheck disable=SC2016
    holds "a machine cannot resolve its own name (myhostname)" \
        unshare --uts sh -c 'hostname asyncpipe-probe && getent ahosts asyncpipe-probe'
}

check_clock() {
    local unit
    for unit in systemd-timesyncd.service chrony.service chronyd.service ntpsec.service; do
        if enabled "$unit"; then
            return 0
        fi
    done
    failure "nothing keeps the clock: no NTP client is enabled"
}

check_locale() {
    local file lang
    for file in /etc/locale.conf /etc/default/locale; do
        [ -r "$file" ] || continue
        lang=$(sed -n 's/^LANG="\{0,1\}\([^"]*\).*$/\1/p' "$file" | tail -n 1)
        [ -n "$lang" ] || continue
        # glibc writes en_US.utf8 for en_US.UTF-8.
        grep -qix "$(tr -d - <<<"$lang")" <<<"$(locale -a | tr -d -)" || failure "the locale $lang of $file is not installed"
        return 0
    done
}

# --- SSH, firewall, kernel -------------------------------------------------------------------------

check_ssh() {
    local work line effective wanted=("permitrootlogin no" "passwordauthentication no"
        "kbdinteractiveauthentication no" "permitemptypasswords no" "x11forwarding no" "allowagentforwarding no"
        "loglevel VERBOSE" "maxauthtries 4" "hostkey /etc/ssh/ssh_host_ed25519_key" "hostkey /etc/ssh/ssh_host_rsa_key")
    [ "$PROFILE" != strict ] || wanted+=("disableforwarding yes" "clientalivecountmax 1")
    work=$(mktemp -d)
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    if effective=$("$(command -v sshd || echo /usr/sbin/sshd)" -T -h "$work/key" 2>&1); then
        for line in "${wanted[@]}"; do
            grep -qix -- "$line" <<<"$effective" || failure "sshd does not say '$line'"
        done
        if grep -Eqi '^hostkey .*_(dsa|ecdsa)_key$' <<<"$effective"; then
            failure "sshd uses a host key that is neither ed25519 nor RSA"
        fi
        if grep -Eqi '^(kexalgorithms|macs|ciphers|hostkeyalgorithms) .*(sha1(-|,|$)|-cbc|3des|ssh-dss|nistp)' <<<"$effective"; then
            failure "sshd offers an old algorithm"
        fi
    else
        failure "sshd refuses its configuration: $effective"
    fi
    rm -rf "$work"
}

check_firewall() {
    local forward=drop said
    [ "$FORWARDING" = false ] || forward=accept
    case $OS_FAMILY in
        debian)
            holds "the firewall is not enabled" enabled nftables.service
            # In a network namespace of its own: nothing of the machine's rules changes.
            if ! said=$(unshare --net sh -c 'nft --file /etc/nftables.conf && nft list table inet filter' 2>&1); then
                failure "nft refuses /etc/nftables.conf: $said"
                return 0
            fi
            grep -q 'hook input priority filter; policy drop;' <<<"$said" || failure "the firewall lets everything in"
            grep -q "hook forward priority filter; policy $forward;" <<<"$said" || failure "the firewall's policy for forwarding is not $forward"
            if [ "$PROFILE" = strict ] && grep -q nd-router-advert <<<"$said"; then
                failure "router advertisements are let in"
            fi
            ;;
        redhat) holds "the firewall is not enabled" enabled firewalld.service ;;
    esac
}

# sysctl_in_force KEY: the kernel's value, or the one that systemd would set: an explicit line wins over
# a glob, a later file over an earlier one.
sysctl_in_force() {
    local key=$1
    if started; then
        sysctl -n "$key" 2>/dev/null || true
        return 0
    fi
    systemd-analyze cat-config sysctl.d 2>/dev/null | awk -v key="$key" '
        /^[[:space:]]*[#;]/ || !/=/ { next }
        {
            name = $0; sub(/[[:space:]]*=.*$/, "", name); sub(/^[[:space:]]*-?/, "", name); gsub("/", ".", name)
            value = $0; sub(/^[^=]*=[[:space:]]*/, "", value); sub(/[[:space:]]*$/, "", value)
            if (name == key) { explicit = value; found = 1; next }
            pattern = name; gsub(/\./, "\\.", pattern); gsub(/\*/, "[^.]*", pattern)
            if (index(name, "*") && key ~ "^" pattern "$") glob = value
        }
        END { print found ? explicit : glob }'
}

check_kernel() {
    local key value interface wanted=(kernel.kptr_restrict=2 kernel.dmesg_restrict=1 kernel.sysrq=0
        fs.protected_fifos=2 fs.protected_regular=2 fs.suid_dumpable=0) each=()
    if [ "$FORWARDING" = true ]; then
        wanted+=(net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1)
        each+=(ipv4.rp_filter=2)
    fi
    if [ "$PROFILE" != minimal ]; then
        wanted+=(kernel.perf_event_paranoid=3 net.core.bpf_jit_harden=2 net.ipv4.tcp_rfc1337=1)
        each+=(ipv4.accept_redirects=0 ipv4.send_redirects=0 ipv4.accept_source_route=0
            ipv6.accept_redirects=0 ipv6.accept_source_route=0)
        if [ "$FORWARDING" = false ]; then
            wanted+=(net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0)
            each+=(ipv4.rp_filter=1)
        fi
    fi
    case $PROFILE in
        baseline) wanted+=(kernel.yama.ptrace_scope=1) each+=(ipv4.log_martians=0) ;;
        strict) wanted+=(kernel.yama.ptrace_scope=2) each+=(ipv4.log_martians=1 ipv6.accept_ra=0) ;;
    esac
    # An interface that no file names, and each that is there.
    for interface in all default $(interfaces); do
        for value in "${each[@]}"; do
            wanted+=("net.${value%%.*}.conf.$interface.${value#*.}")
        done
    done
    for value in "${wanted[@]}"; do
        key=${value%=*}
        value=${value##*=}
        if started && [ ! -e "/proc/sys/${key//./\/}" ]; then
            say "this kernel does not know $key"
            continue
        fi
        is "the kernel's setting $key" "$(sysctl_in_force "$key")" "$value"
    done
}

interfaces() {
    local path
    if ! started; then
        echo enX9
        return 0
    fi
    for path in /sys/class/net/*; do
        # The kernel has no such settings for a bridge's or bond's master file.
        [ ! -d "$path" ] || printf '%s\n' "${path##*/}"
    done
}

# --- people ----------------------------------------------------------------------------------------

# What a session that is no login shell gets from PAM.
check_sessions() {
    local said mask=0027
    said=$(su -s /bin/sh -c 'umask; ulimit -H -c' nobody 2>/dev/null) || {
        failure "su cannot open a session"
        return 0
    }
    is "the limit of core dumps" "$(sed -n 2p <<<"$said")" 0
    [ "$PROFILE" != minimal ] || return 0
    [ "$PROFILE" != strict ] || mask=0077
    # In the Red Hat family the group of a user's own may share what the user may do.
    if [ "$OS_FAMILY" = redhat ] && [ "$(sed -n 1p <<<"$said")" = 0007 ]; then
        return 0
    fi
    is "the umask of a session" "$(sed -n 1p <<<"$said")" "$mask"
}

check_updates() {
    local on=0 said
    [ "$UPDATES" = false ] || on=1
    case $OS_FAMILY in
        debian)
            said=$(apt-config dump APT::Periodic::Unattended-Upgrade)
            is "apt's APT::Periodic::Unattended-Upgrade" "$said" "APT::Periodic::Unattended-Upgrade \"$on\";"
            ;;
        redhat)
            if [ "$on" = 1 ]; then
                holds "security updates are not enabled" enabled dnf-automatic.timer
            fi
            ;;
    esac
}

# --- the boot loader -------------------------------------------------------------------------------

start_parameters() {
    if have grubby; then
        grubby --info=ALL 2>/dev/null | sed -n 's/^args=//p'
    elif [ -r /boot/grub/grub.cfg ]; then
        sed -n 's/^[[:space:]]*linux[[:space:]]*//p' /boot/grub/grub.cfg
    fi
}

check_boot() {
    local parameters disk types
    parameters=$(start_parameters)
    if grep -q crashkernel= <<<"$parameters"; then
        failure "kdump keeps memory at each start: crashkernel= is among the kernel's parameters"
    fi
    if [ "$PROFILE" = strict ] && [ -n "$parameters" ] && ! grep -q 'init_on_alloc=1' <<<"$parameters"; then
        failure "the kernel's start parameters are missing"
    fi
    mountpoint -q /boot/efi || return 0
    holds "the disk does not start by UEFI without variables" test -s /boot/efi/EFI/BOOT/BOOTX64.EFI
    if [ "$OS_FAMILY" = debian ]; then
        holds "by UEFI an installer's CD in the drive is started, not the disk: GRUB has no configuration in /EFI/$OS_ID" \
            test -s "/boot/efi/EFI/$OS_ID/grub.cfg"
    fi
    disk=$(lsblk --noheadings --nodeps --output PKNAME "$(findmnt -n -o SOURCE /boot/efi)")
    types=$(lsblk --noheadings --output PARTTYPE "/dev/$disk")
    grep -qi 21686148-6449-6e6f-744e-656564454649 <<<"$types" || failure "the disk does not start by BIOS: it has no BIOS boot partition"
    [ -z "$(dd if="/dev/$disk" bs=440 count=1 status=none | tr -d '\0')" ] && failure "the disk does not start by BIOS: it has no boot code"
    return 0
}

# --- from baseline on ------------------------------------------------------------------------------

check_baseline() {
    local name options modules
    holds "auditd is not enabled" enabled auditd.service
    holds "audit rules are missing" test -s /etc/audit/rules.d/50-asyncpipe.rules
    if started && have auditctl; then
        [ "$(auditctl -l | grep -c -e '-k\|key=')" -ge 10 ] || say "the audit rules are loaded on the next start"
    fi
    if have modprobe; then
        modules=$(modprobe --showconfig || true)
        for name in cramfs dccp rds tipc; do
            grep -qx "install $name /bin/false" <<<"$modules" || failure "the kernel module $name is not blocked"
        done
    fi
    for name in "${UNNEEDED_UNITS[@]}"; do
        case $(systemctl is-enabled "$name" 2>/dev/null || true) in
            # Not installed: systemd says so in words that differ between its versions, or not at all.
            masked | '' | not-found) ;;
            *) failure "the unneeded $name is not masked" ;;
        esac
    done
    holds "password rules are missing" test -s /etc/security/pwquality.conf.d/90-asyncpipe.conf
    holds "failed logins are not counted" grep -Rq pam_faillock /etc/pam.d
    holds "/tmp is not a file system of its own" enabled tmp.mount
    options=$(next_start tmp.mount Options)
    for name in nosuid nodev $([ "$PROFILE" != strict ] || echo noexec); do
        grep -qw "$name" <<<"$options" || failure "/tmp is not mounted $name, but '$options'"
    done
    is "the storage of core dumps" "$(systemd-analyze cat-config systemd/coredump.conf 2>/dev/null | sed -n 's/^Storage=//p' | tail -n 1)" none
}

# next_start UNIT KEY: what a unit's file and its drop-ins say, in systemd's order. A running systemd is
# not asked: of /tmp, which Debian 13 mounts by itself, it says how that was mounted, not how it will be.
next_start() {
    local folder files=()
    for folder in /etc /usr/lib; do
        if [ "${#files[@]}" -eq 0 ] && [ -f "$folder/systemd/system/$1" ]; then
            files=("$folder/systemd/system/$1")
        fi
    done
    mapfile -t -O "${#files[@]}" files < <(
        compgen -G "/usr/lib/systemd/system/$1.d/*.conf" || true
        compgen -G "/etc/systemd/system/$1.d/*.conf" || true
    )
    sed -n "s/^$2=//p" "${files[@]}" | tail -n 1
}
