#!/bin/sh
# Shows the guest's /etc/os-release, as provisioning/common/verify_image.sh does in a real guest.
set -eu

mark=asyncpipe-evidence/1
count=0

say() {
    echo "$mark $*"
    count=$((count + 1))
}

echo "$mark begin"
while IFS= read -r line; do
    say "os-release $line"
done <"$DEMO_FOLDER/os-release"
say 'debian-version 12.11'
say 'kernel 6.1.0-37-amd64'
say 'arch x86_64'
say 'hardening-profile baseline'
say 'agent xe-guest-utilities 8.4.0'
say 'package openssh-server 1:9.2p1-2+deb12u6 amd64'
say 'package systemd 252.38-1~deb12u1 amd64'
echo "$mark end $count"
