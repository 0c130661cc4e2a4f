#!/bin/sh
# Pretends to install a guest: output that grows for DEMO_SECONDS, and fails when asked to.
set -eu

packages='libc6 libssl3 systemd udev dbus openssh-server cloud-init xe-guest-utilities'

echo "Installing from $DEMO_ISO"
for package in $packages; do
    echo "Setting up $package ..."
    # 8 packages share the time; awk, because sh knows whole numbers only.
    sleep "$(awk "BEGIN { print $DEMO_SECONDS / 8 }")"
    if [ "$DEMO_FAIL" = true ] && [ "$package" = openssh-server ]; then
        echo 'E: Unable to locate package asyncpipe-demo' >&2
        exit 7
    fi
done
echo 'Processing triggers for systemd ... done'
