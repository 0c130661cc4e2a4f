#!/bin/bash
# Hardens the SSH server: keys only, no root, modern algorithms.
#
# Does:     writes /etc/ssh/sshd_config.d/00-asyncpipe.conf (sshd takes the first value it reads), from
#           those algorithms of the lists below that this sshd knows; sshd itself checks the whole
#           configuration before the file is put in place. The build's user keeps its password until
#           cleanup.sh, by a second drop-in, so that the build is not locked out before its end.
#           ANSSI-BP-028 R79, R80; ANSSI "(Open)SSH secure use" R7 to R23; CIS "SSH Server".
# Variables: BUILD_USER         the build's user, default packer
#           HARDENING_PROFILE  minimal, baseline (default) or strict (no forwarding at all)
# Needs:    root, openssh-server.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PROFILE=${HARDENING_PROFILE:-baseline}
BUILD_USER=${BUILD_USER:-packer}
DROP_IN_DIR=/etc/ssh/sshd_config.d

KEX=(mlkem768x25519-sha256 sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com
    curve25519-sha256 curve25519-sha256@libssh.org
    diffie-hellman-group16-sha512 diffie-hellman-group18-sha512)
CIPHERS=(chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes128-gcm@openssh.com aes256-ctr aes128-ctr)
MACS=(hmac-sha2-512-etm@openssh.com hmac-sha2-256-etm@openssh.com umac-128-etm@openssh.com)
KEYS=(ssh-ed25519 ssh-ed25519-cert-v01@openssh.com sk-ssh-ed25519@openssh.com
    sk-ssh-ed25519-cert-v01@openssh.com rsa-sha2-512 rsa-sha2-512-cert-v01@openssh.com
    rsa-sha2-256 rsa-sha2-256-cert-v01@openssh.com)

# known KIND NAME...: the names that this OpenSSH knows, separated by commas.
known() {
    local kind=$1 name offered list=
    shift
    offered=$(ssh -Q "$kind")
    for name; do
        if grep -qxF -- "$name" <<<"$offered"; then
            list=$list,$name
        fi
    done
    [ -n "$list" ] || die "this OpenSSH knows none of the $kind algorithms wanted: $*"
    printf '%s' "${list#,}"
}

drop_in() {
    cat <<CONF
# Written by provisioning/common/harden_ssh.sh, profile $PROFILE.
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PubkeyAuthentication yes
HostbasedAuthentication no
IgnoreRhosts yes
PermitUserEnvironment no
StrictModes yes
UsePAM yes
X11Forwarding no
AllowAgentForwarding no
GatewayPorts no
MaxAuthTries 4
MaxSessions 10
MaxStartups 10:30:60
LoginGraceTime 60
ClientAliveInterval 300
ClientAliveCountMax 3
LogLevel VERBOSE
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_rsa_key
CONF
    # In release 8 the system's crypto policy is on sshd's command line, which wins over every file.
    if [ "$OS_FAMILY:$OS_MAJOR" != redhat:8 ]; then
        cat <<CONF
KexAlgorithms $(known kex "${KEX[@]}")
Ciphers $(known cipher "${CIPHERS[@]}")
MACs $(known mac "${MACS[@]}")
HostKeyAlgorithms $(known key-sig "${KEYS[@]}")
PubkeyAcceptedAlgorithms $(known key-sig "${KEYS[@]}")
CONF
    fi
    if [ "$PROFILE" = strict ]; then
        printf '%s\n' "DisableForwarding yes" "Banner /etc/issue.net" "ClientAliveCountMax 1"
    fi
}

# The strict profile's second ClientAliveCountMax would lose to the first: the last line given wins here.
last_value_of_each() {
    tac | awk '/^#/ || $1 == "HostKey" || !seen[$1]++' | tac
}

# accepted FILE: would sshd start with this drop-in before all others?
accepted() {
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
    { printf 'Include %s\n' "$1" && cat /etc/ssh/sshd_config; } >"$work/sshd_config"
    "$(command -v sshd || echo /usr/sbin/sshd)" -t -h "$work/host_key" -f "$work/sshd_config"
}

require_choice HARDENING_PROFILE "$PROFILE" minimal baseline strict
begin
case $OS_FAMILY in
    debian) install_packages openssh-server openssh-client ;;
    redhat) install_packages openssh-server openssh-clients ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
drop_in | last_value_of_each >"$work/drop-in.conf"
accepted "$work/drop-in.conf" || die "sshd refuses the configuration above; nothing was changed"

# Anaconda allows root's password here when asked to.
rm -f "$DROP_IN_DIR/01-permitrootlogin.conf"
if ! grep -Eqi '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config\.d/' /etc/ssh/sshd_config; then
    { printf 'Include /etc/ssh/sshd_config.d/*.conf\n' && cat /etc/ssh/sshd_config; } >"$work/main"
    put /etc/ssh/sshd_config 0600 <"$work/main"
fi
if id "$BUILD_USER" >/dev/null 2>&1; then
    put "$DROP_IN_DIR/00-asyncpipe-build.conf" 0600 <<CONF
Match User $BUILD_USER
    PasswordAuthentication yes
    KbdInteractiveAuthentication yes
CONF
fi
put "$DROP_IN_DIR/00-asyncpipe.conf" 0600 <"$work/drop-in.conf"
# The small moduli go (3071 bits and fewer): what is left serves group exchange only.
if [ -f /etc/ssh/moduli ]; then
    awk '$5 >= 3071' /etc/ssh/moduli >"$work/moduli"
    [ ! -s "$work/moduli" ] || put /etc/ssh/moduli 0644 <"$work/moduli"
fi
say "keys only, root refused; in force from the next start of sshd"
