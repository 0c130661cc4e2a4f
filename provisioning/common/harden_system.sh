#!/bin/bash
# Hardens the system, by profile.
#
# Does:     minimal   firewall that leaves SSH, kernel pointers and links, no core dumps
#           baseline  and network sysctl, mounts, umask, password quality, lock-out, auditd,
#                     services and kernel modules that a server does not need
#           strict    and noexec on /tmp, kernel start parameters, BPF and kexec closed, idle
#                     sessions ended, IPv6 router advertisements refused
#           What was set is listed with its references in /usr/share/asyncpipe/hardening-report.txt.
#           References: ANSSI-BP-028 v2.0 (R..) and the chapters of the CIS benchmarks.
# Variables: HARDENING_PROFILE  minimal, baseline (default) or strict
#           ALLOW_FORWARDING   true: packets may be forwarded, which containers, Kubernetes and
#                              routers need; false (default): they are refused
# Needs:    root, the package mirrors. Each setting is a file of its own; a second run changes nothing.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PROFILE=${HARDENING_PROFILE:-baseline}
FORWARDING=${ALLOW_FORWARDING:-false}
REPORT=/usr/share/asyncpipe/hardening-report.txt
LINES=()

# at_least PROFILE: is the profile asked for this one or a stronger one?
at_least() {
    case $1:$PROFILE in
        minimal:* | baseline:baseline | *:strict) return 0 ;;
    esac
    return 1
}

# did REFERENCE TEXT: a line of the report.
did() {
    LINES+=("$(printf '%-56s %s' "$1" "$2")")
}

# --- firewall -------------------------------------------------------------------------------------

firewall_debian() {
    install_packages nftables
    local rules forward=drop adverts="nd-router-advert, "
    [ "$FORWARDING" = false ] || forward=accept
    # systemd-networkd reads router advertisements itself, whatever the kernel's accept_ra says.
    ! at_least strict || adverts=
    rules=$(mktemp)
    cat >"$rules" <<NFT
#!/usr/sbin/nft -f
# Written by provisioning/common/harden_system.sh: in come SSH and what the network itself needs.
# Only this table is replaced: those of container engines stay.
table inet filter
delete table inet filter

table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        iif "lo" accept
        ct state vmap { established : accept, related : accept, invalid : drop }
        ip protocol icmp icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
        icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, ${adverts}nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept
        udp sport 67 udp dport 68 accept
        ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
        tcp dport 22 ct state new accept
        include "/etc/nftables.d/*.nft"
    }

    chain forward {
        type filter hook forward priority filter; policy $forward;
    }

    chain output {
        type filter hook output priority filter; policy accept;
    }
}
NFT
    mkdir -p /etc/nftables.d
    nft --check --file "$rules" || die "nft refuses the rules above; nothing was changed"
    put /etc/nftables.conf 0755 <"$rules"
    rm -f "$rules"
    if package_installed ufw; then
        disable_unit ufw.service
    fi
    enable_unit nftables.service
}

firewall_redhat() {
    install_packages firewalld
    [ "$(firewall-offline-cmd --get-default-zone)" = public ] ||
        firewall-offline-cmd --quiet --set-default-zone=public
    firewall-offline-cmd --quiet --zone=public --query-service=ssh ||
        firewall-offline-cmd --quiet --zone=public --add-service=ssh
    if firewall-offline-cmd --quiet --zone=public --query-service=cockpit; then
        firewall-offline-cmd --quiet --zone=public --remove-service-from-zone=cockpit
    fi
    if at_least strict && ! firewall-offline-cmd --quiet --zone=public --query-icmp-block=router-advertisement; then
        firewall-offline-cmd --quiet --zone=public --add-icmp-block=router-advertisement
    fi
    if [ "$FORWARDING" = true ] && ! firewall-offline-cmd --quiet --zone=public --query-forward; then
        firewall-offline-cmd --quiet --zone=public --add-forward
    fi
    enable_unit firewalld.service
}

firewall() {
    "firewall_$OS_FAMILY"
    did "ANSSI R79, CIS Host Based Firewall" "inbound refused except SSH, ICMP and DHCP; forwarding $([ "$FORWARDING" = true ] && echo allowed || echo refused)"
}

# --- kernel ---------------------------------------------------------------------------------------

# The files are read in the order of their names, whatever their folders: the distribution's own
# 99-protect-links.conf and 99-sysctl.conf come before this one.
SYSCTL_FILE=/etc/sysctl.d/99-zz-asyncpipe.conf

kernel_settings() {
    rm -f /etc/sysctl.d/90-asyncpipe.conf
    sysctl_lines | put "$SYSCTL_FILE" 0644
    did "ANSSI R9, R11, R12, R14, CIS Network Parameters" "$(grep -c = "$SYSCTL_FILE") kernel settings"
    if started; then
        /usr/lib/systemd/systemd-sysctl 2>/dev/null || say "some kernel settings are not known to this kernel"
    fi
    if at_least strict; then
        start_parameters
    fi
}

sysctl_lines() {
    cat <<'SYSCTL'
kernel.dmesg_restrict = 1
kernel.kptr_restrict = 2
kernel.randomize_va_space = 2
kernel.sysrq = 0
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
fs.protected_fifos = 2
fs.protected_regular = 2
fs.suid_dumpable = 0
SYSCTL
    forwarding_lines
    at_least baseline || return 0
    cat <<'SYSCTL'
kernel.perf_event_paranoid = 3
kernel.unprivileged_bpf_disabled = 1
net.core.bpf_jit_harden = 2
net.ipv4.tcp_syncookies = 1
net.ipv4.tcp_rfc1337 = 1
net.ipv4.icmp_echo_ignore_broadcasts = 1
net.ipv4.icmp_ignore_bogus_error_responses = 1
SYSCTL
    per_interface 0 ipv4.conf.{accept_redirects,secure_redirects,send_redirects,accept_source_route} \
        ipv6.conf.{accept_redirects,accept_source_route}
    if ! at_least strict; then
        # 0 keeps the offers of other machines' DHCP, which a machine without an address sees, out of the log.
        printf '%s\n' "kernel.yama.ptrace_scope = 1"
        per_interface 0 ipv4.conf.log_martians
        return 0
    fi
    cat <<'SYSCTL'
kernel.yama.ptrace_scope = 2
kernel.kexec_load_disabled = 1
SYSCTL
    per_interface 1 ipv4.conf.log_martians
    per_interface 0 ipv6.conf.accept_ra
}

# per_interface VALUE FAMILY.conf.NAME...: a glob reaches each interface, also one that appears later,
# which "all" does not; "all" and "default" are named because another file's explicit line would win
# over a glob.
per_interface() {
    local value=$1 name which
    shift
    for name; do
        for which in all default '*'; do
            printf 'net.%s.%s.%s = %s\n' "${name%.*}" "$which" "${name##*.}" "$value"
        done
    done
}

# Engines for containers switch forwarding on themselves, Kubernetes asks for it; replies may leave by
# another interface than the one the kernel would choose, which the strict filter would drop.
forwarding_lines() {
    if [ "$FORWARDING" = true ]; then
        printf '%s\n' "net.ipv4.ip_forward = 1" "net.ipv6.conf.all.forwarding = 1"
        per_interface 2 ipv4.conf.rp_filter
    elif at_least baseline; then
        printf '%s\n' "net.ipv4.ip_forward = 0" "net.ipv6.conf.all.forwarding = 0"
        per_interface 1 ipv4.conf.rp_filter
    fi
}

start_parameters() {
    local parameters="slab_nomerge init_on_alloc=1 page_alloc.shuffle=1 randomize_kstack_offset=on vsyscall=none"
    if [ "$OS_FAMILY" = redhat ]; then
        grubby --update-kernel=ALL --args="$parameters"
    elif [ -d /etc/default/grub.d ] || [ -f /etc/default/grub ]; then
        put /etc/default/grub.d/70-asyncpipe-hardening.cfg 0644 <<<"GRUB_CMDLINE_LINUX=\"\$GRUB_CMDLINE_LINUX $parameters\""
        if have update-grub && [ -d /boot/grub ]; then
            update-grub >/dev/null 2>&1 || die "update-grub failed: run it by hand to see why"
        fi
    fi
    did "ANSSI R8" "kernel start parameters: $parameters"
}

core_dumps() {
    put /etc/security/limits.d/90-asyncpipe.conf 0644 <<<"* hard core 0"
    put /etc/systemd/coredump.conf.d/90-asyncpipe.conf 0644 <<'CONF'
[Coredump]
Storage=none
ProcessSizeMax=0
CONF
    did "ANSSI R14, CIS Configure Additional Process Hardening" "no core dumps"
}

kernel_modules() {
    local name
    # squashfs and udf stay: snaps and installation media need them.
    for name in cramfs freevxfs jffs2 hfs hfsplus dccp sctp rds tipc firewire-core; do
        printf 'install %s /bin/false\nblacklist %s\n' "$name" "$name"
    done | put /etc/modprobe.d/90-asyncpipe.conf 0644
    did "ANSSI R10, CIS Configure Filesystem Kernel Modules" "rare file systems and protocols cannot be loaded"
}

# --- file systems ---------------------------------------------------------------------------------

mounts() {
    local options=mode=1777,strictatime,nosuid,nodev,size=50%%
    if at_least strict; then
        options=$options,noexec
    fi
    put /etc/systemd/system/tmp.mount 0644 <<UNIT
[Unit]
Description=Temporary files in memory
DefaultDependencies=no
Conflicts=umount.target
Before=local-fs.target umount.target
After=swap.target

[Mount]
What=tmpfs
Where=/tmp
Type=tmpfs
Options=$options

[Install]
WantedBy=local-fs.target
UNIT
    # Not started: what is in /tmp now belongs to the build.
    systemctl --quiet enable tmp.mount
    put /etc/systemd/system/asyncpipe-shm.service 0644 <<'UNIT'
[Unit]
Description=Refuse programs and devices in shared memory
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/usr/bin/mount -o remount,nodev,nosuid,noexec /dev/shm

[Install]
WantedBy=sysinit.target
UNIT
    systemctl --quiet enable asyncpipe-shm.service
    did "ANSSI R28, CIS Configure Filesystem Partitions" "/tmp: $(printf '%s' "$options" | tr -s %); /dev/shm: nodev,nosuid,noexec"
}

permissions() {
    local path
    for path in /etc/crontab /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.d \
        /boot/grub /boot/grub2; do
        [ ! -e "$path" ] || chmod go-rwx "$path"
    done
    did "ANSSI R29, CIS Configure cron" "cron's folders and the boot loader's are root's alone"
}

# --- accounts -------------------------------------------------------------------------------------

# login_def NAME VALUE
login_def() {
    local changed
    changed=$(awk -v name="$1" -v value="$2" '
        $1 == name || $1 == "#" name || ($1 == "#" && $2 == name) { if (!done++) print name "\t" value; next }
        { print }
        END { if (!done) print name "\t" value }' /etc/login.defs)
    put /etc/login.defs 0644 <<<"$changed"
}

accounts() {
    local mask=027
    if at_least strict; then
        mask=077
    fi
    login_def UMASK "$mask"
    umask_of_sessions "$mask"
    put /etc/profile.d/90-asyncpipe.sh 0644 <<PROFILE
# Written by provisioning/common/harden_system.sh.
if [ "\$(id -u)" -ge 1000 ]; then umask $mask; fi
$(at_least strict && printf '%s' 'readonly TMOUT=900; export TMOUT' || true)
PROFILE
    did "ANSSI R36, CIS User Accounts and Environment" "umask $mask in every session$(at_least strict && printf ', idle shells end after 15 minutes' || true)"
    login_def PASS_WARN_AGE 7
    if at_least strict; then
        login_def PASS_MIN_DAYS 1
    fi
    passwords
}

# A login shell's profile is not read by 'ssh host command', cron, su and sudo: PAM serves them all.
# The Red Hat family has pam_umask in postlogin, which reads login.defs.
umask_of_sessions() {
    [ "$OS_FAMILY" = debian ] || return 0
    put /usr/share/pam-configs/asyncpipe-umask 0644 <<PAM
Name: Set the umask of every session
Default: yes
Priority: 0
Session-Type: Additional
Session:
	optional pam_umask.so umask=0$1 nousergroups
PAM
    # Without --force PAM's files are left alone where an administrator has changed them.
    pam-auth-update --package --enable asyncpipe-umask
}

passwords() {
    put /etc/security/faillock.conf 0644 <<'CONF'
# Root is left out: nobody shall be able to lock an administrator out from the network.
deny = 5
unlock_time = 900
fail_interval = 900
silent
CONF
    if [ "$OS_FAMILY" = debian ]; then
        install_packages libpam-pwquality
        put /usr/share/pam-configs/asyncpipe-faillock-notify 0644 <<'PAM'
Name: Refuse accounts with too many failed logins
Default: yes
Priority: 1024
Auth-Type: Primary
Auth:
	requisite pam_faillock.so preauth
Account-Type: Primary
Account:
	required pam_faillock.so
PAM
        put /usr/share/pam-configs/asyncpipe-faillock 0644 <<'PAM'
Name: Count failed logins
Default: yes
Priority: 0
Auth-Type: Primary
Auth:
	[default=die] pam_faillock.so authfail
PAM
        pam-auth-update --package --enable asyncpipe-faillock asyncpipe-faillock-notify
    else
        install_packages libpwquality authselect
        # Without a profile: release 10 has renamed 'minimal' to 'local'.
        authselect current >/dev/null 2>&1 || authselect select local --force >/dev/null 2>&1 ||
            authselect select minimal --force >/dev/null
        authselect enable-feature with-faillock >/dev/null
    fi
    put /etc/security/pwquality.conf.d/90-asyncpipe.conf 0644 <<'CONF'
minlen = 14
minclass = 3
maxrepeat = 3
maxsequence = 3
dictcheck = 1
CONF
    did "ANSSI R31, R68, CIS Configure PAM" "passwords of 14 characters, accounts locked for 15 minutes after 5 failures"
}

# --- audit and services ---------------------------------------------------------------------------

audit() {
    case $OS_FAMILY in
        debian) install_packages auditd ;;
        redhat) install_packages audit ;;
    esac
    {
        cat <<'RULES'
# Written by provisioning/common/harden_system.sh.
-w /etc/passwd -p wa -k identity
-w /etc/group -p wa -k identity
-w /etc/shadow -p wa -k identity
-w /etc/gshadow -p wa -k identity
-w /etc/sudoers -p wa -k privilege
-w /etc/sudoers.d/ -p wa -k privilege
-w /etc/ssh/sshd_config -p wa -k sshd
-w /etc/ssh/sshd_config.d/ -p wa -k sshd
-w /etc/pam.d/ -p wa -k pam
-w /var/log/lastlog -p wa -k logins
-a always,exit -F arch=b64 -S init_module,finit_module,delete_module -F auid>=1000 -F auid!=unset -k modules
-a always,exit -F arch=b64 -S adjtimex,settimeofday -F key=time-change
-a always,exit -F arch=b64 -S mount,umount2 -F auid>=1000 -F auid!=unset -k mounts
-a always,exit -F arch=b64 -C euid!=uid -F euid=0 -S execve -F auid>=1000 -F auid!=unset -k elevation
RULES
    } | put /etc/audit/rules.d/50-asyncpipe.rules 0640
    if at_least strict; then
        put /etc/audit/rules.d/99-asyncpipe-final.rules 0640 <<<"-e 2"
    fi
    # Not restarted: auditd refuses that, and the rules are loaded on the next start.
    systemctl --quiet enable auditd.service
    did "ANSSI R73, CIS Configure auditd" "identity, privilege, sshd, PAM, modules, time and mounts are recorded"
}

services() {
    local unit
    for unit in "${UNNEEDED_UNITS[@]}"; do
        case $unit in
            ctrl-alt-del.target) systemctl --quiet mask "$unit" ;;
            *) disable_unit "$unit" ;;
        esac
    done
    did "ANSSI R62, CIS Configure Services" "services that a server does not need are masked, Ctrl-Alt-Del too"
}

# --- all of it ------------------------------------------------------------------------------------

report() {
    {
        printf 'asyncpipe hardening report\nsystem   %s %s\nprofile  %s\n\n' "$OS_ID" "$OS_VERSION" "$PROFILE"
        printf '%s\n' "${LINES[@]}"
    } | put "$REPORT" 0644
    printf '%s\n' "$PROFILE" | put /usr/share/asyncpipe/hardening-profile 0644
    printf '%s\n' "$FORWARDING" | put /usr/share/asyncpipe/forwarding 0644
    cat "$REPORT"
}

require_choice HARDENING_PROFILE "$PROFILE" minimal baseline strict
require_choice ALLOW_FORWARDING "$FORWARDING" true false
begin
require_space / 256
package_lists
firewall
kernel_settings
core_dumps
if at_least baseline; then
    kernel_modules
    mounts
    permissions
    accounts
    audit
    services
fi
report
