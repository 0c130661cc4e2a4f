#!/bin/sh
# Last act of the three installers, run in the installed system.
#
# Does:     lets the build user become root without a password, and has the system tell its
#           address at each start by one HTTP request. Both go with provisioning/common/cleanup.sh.
# Reads:    asyncpipe.user and asyncpipe.http from the kernel's command line.
# Needs:    root, sudo, curl, systemd.
set -eu

answer() {
    sed -n "s/^.*asyncpipe\.$1=\([^ ]*\).*\$/\1/p" /proc/cmdline
}

user=$(answer user)
http=$(answer http)
if [ -z "$user" ] || [ -z "$http" ]; then
    echo "late.sh: asyncpipe.user and asyncpipe.http are not on the kernel's command line" >&2
    exit 1
fi

install -d -m 0750 /etc/sudoers.d
umask 0337
printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >/etc/sudoers.d/asyncpipe-build
umask 0022

cat >/etc/systemd/system/asyncpipe-announce.service <<UNIT
[Unit]
Description=Tell the image build this machine's address
Wants=network-online.target
After=network-online.target ssh.service sshd.service

[Service]
Type=oneshot
ExecStart=/usr/bin/curl --silent --show-error --fail --noproxy "*" --max-time 5 --retry 60 --retry-delay 2 --retry-connrefused --output /dev/null $http/ready

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable asyncpipe-announce.service
