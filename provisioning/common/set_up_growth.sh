#!/bin/bash
# Lets a root file system on LVM grow with its disk; cloud-init grows one on a partition.
#
# Does:     where the root file system is a logical volume: a service that at each start makes the
#           partition, the physical volume, the logical volume and the file system as large as the disk
#           allows. Elsewhere nothing.
# Needs:    root, the package mirrors.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

begin
volume=$(findmnt --noheadings --output SOURCE / || true)
if [[ $volume != /dev/mapper/* ]]; then
    say "nothing to do: the root file system is on $volume"
    exit 0
fi
package_lists
case $OS_FAMILY in
    debian) install_packages lvm2 cloud-guest-utils ;;
    redhat) install_packages lvm2 cloud-utils-growpart ;;
esac
put /usr/libexec/asyncpipe-grow-lvm 0755 <<'SCRIPT'
#!/bin/bash
# Makes the root file system as large as its disk allows; a second run finds nothing to do.
set -euo pipefail
volume=$(findmnt --noheadings --output SOURCE /)
group=$(lvs --noheadings --options vg_name "$volume" | tr -d ' ')
pvs --noheadings --options pv_name --select "vg_name=$group" | while read -r device; do
    name=${device#/dev/}
    disk=/dev/$(lsblk --noheadings --nodeps --output PKNAME "$device")
    # 1: there is nothing to grow.
    growpart "$disk" "$(cat "/sys/class/block/$name/partition")" || [ $? -eq 1 ]
    pvresize --quiet "$device"
done
free=$(vgs --noheadings --options vg_free_count "$group" | tr -d ' ')
[ "$free" -eq 0 ] || lvextend --extents +100%FREE --resizefs "$volume"
SCRIPT
put /etc/systemd/system/asyncpipe-grow-lvm.service 0644 <<'UNIT'
[Unit]
Description=Let the root file system grow with its disk
After=local-fs.target

[Service]
Type=oneshot
ExecStart=/usr/libexec/asyncpipe-grow-lvm

[Install]
WantedBy=multi-user.target
UNIT
systemctl --quiet enable asyncpipe-grow-lvm.service
say "done: $volume grows with its disk"
