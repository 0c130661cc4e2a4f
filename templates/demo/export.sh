#!/bin/sh
# Makes a disk of DEMO_SIZE_MIB and exports it as the one XVA of this build.
set -eu

python=${ASYNCPIPE_PYTHON:-python3}
mkdir -p "$DEMO_OUTPUT"
disk=$DEMO_OUTPUT/disk.raw
trap 'rm -f "$disk"' EXIT

# The line that the xenserver-iso builder prints here; on stderr Packer shows it as a step.
echo 'Step: export artifact' >&2
"$python" -B "$DEMO_FOLDER/disk.py" "$disk" "$DEMO_SIZE_MIB"
"$python" -B -m asyncpipe xva create --name "$DEMO_NAME" --vcpus 1 --memory 512MiB \
    --disk "$disk,demo-disk" -o "$DEMO_OUTPUT/$DEMO_NAME.xva"
echo "Exported $DEMO_OUTPUT/$DEMO_NAME.xva"
