#!/bin/sh
# Makes an XVA of a raw disk, for templates that are built without an XCP-ng host.
#
# Does:     runs "asyncpipe xva create", then removes the disk, so that the output folder holds the
#           XVA only. If that fails the disk stays, and there is no XVA.
# Variables: DISK, XVA           the raw disk and the file to make
#           VM_NAME, VM_VCPUS, VM_MEMORY_MB, VM_FIRMWARE
#           ASYNCPIPE_PYTHON    Python that has asyncpipe; the pipeline sets it. Without it the command
#                               asyncpipe is taken from PATH.
# Needs:    asyncpipe, and room for the XVA beside the disk.
set -eu

for name in DISK XVA VM_NAME VM_VCPUS VM_MEMORY_MB VM_FIRMWARE; do
    eval "value=\${$name:-}"
    if [ -z "$value" ]; then
        echo "disk-to-xva.sh: $name is not set" >&2
        exit 1
    fi
done
if [ ! -s "$DISK" ]; then
    echo "disk-to-xva.sh: there is no disk at $DISK" >&2
    exit 1
fi

set -- xva create --name "$VM_NAME" --vcpus "$VM_VCPUS" --memory "${VM_MEMORY_MB}MiB" \
    --firmware "$VM_FIRMWARE" --compress zstd --disk "$DISK" -o "$XVA"
if [ -n "${ASYNCPIPE_PYTHON:-}" ]; then
    "$ASYNCPIPE_PYTHON" -m asyncpipe "$@"
elif command -v asyncpipe >/dev/null 2>&1; then
    asyncpipe "$@"
else
    echo "disk-to-xva.sh: asyncpipe is not on PATH and ASYNCPIPE_PYTHON is not set" >&2
    exit 1
fi
rm -f "$DISK"
