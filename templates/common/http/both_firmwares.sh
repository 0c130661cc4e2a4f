#!/bin/sh
# Makes the installed disk start by BIOS and by UEFI, whichever the installer was started by.
#
# Does:     gives the partitions the types that their uses have (an installer that was itself started by
#           BIOS knows no EFI system partition, one started by UEFI no BIOS boot partition).
#           Debian and Ubuntu: both kinds of GRUB on the disk, the one for UEFI in the removable path,
#           which needs no variables of the firmware, signed for Secure Boot. The Red Hat family: the
#           boot code for BIOS beside the signed loader, whose configuration points to the one file
#           that both read.
# Needs:    root; a GPT disk whose first partition, of 1 or 2 MiB, is empty, and /boot/efi on another.
set -eu

fail() {
    echo "both_firmwares.sh: $*" >&2
    exit 1
}

mountpoint -q /boot/efi || fail "/boot/efi is not mounted: the disk has no EFI system partition"
part=$(findmnt -n -o SOURCE /boot/efi)
disk=/dev/$(lsblk --noheadings --nodeps --output PKNAME "$part")
[ -b "$disk" ] || fail "the disk of $part is unknown"
first=$(lsblk --noheadings --list --bytes --output NAME,SIZE,TYPE "$disk" | awk '$3 == "part" { print $2; exit }')
[ "${first:-0}" -gt 0 ] && [ "$first" -le 2097152 ] || fail "the first partition of $disk is not one of 1 or 2 MiB for BIOS"

if ! command -v grub2-install >/dev/null 2>&1; then
    # The packages that only bring the files: those that also install them exclude each other.
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet --yes --no-install-recommends install \
        fdisk grub2-common grub-pc-bin grub-efi-amd64-bin grub-efi-amd64-signed shim-signed </dev/null
fi

# In the table only: the partitions stay as they are and in use.
bios_boot=21686148-6449-6E6F-744E-656564454649
efi_system=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
number=$(cat "/sys/class/block/${part#/dev/}/partition")
sfdisk --quiet --no-reread --no-tell-kernel --force --part-type "$disk" 1 "$bios_boot"
sfdisk --quiet --no-reread --no-tell-kernel --force --part-type "$disk" "$number" "$efi_system"

debian() {
    grub-install --target=i386-pc "$disk"
    grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram --uefi-secure-boot
    # The signed GRUB looks for its configuration in its vendor's folder, then on a CD that says it is an
    # installer's, and only then beside itself: without the first, such a CD in the drive is started.
    # Ubuntu's grub-install takes the one for CDs, which knows no folder of a vendor.
    vendor=$(. /etc/os-release && echo "$ID")
    cp /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed /boot/efi/EFI/BOOT/grubx64.efi
    mkdir -p "/boot/efi/EFI/$vendor"
    cp /boot/efi/EFI/BOOT/grub.cfg "/boot/efi/EFI/$vendor/grub.cfg"
    update-grub
}

redhat() {
    vendor=
    for name in /boot/efi/EFI/*/shimx64.efi; do
        vendor=$(dirname "$name")
    done
    [ -d "$vendor" ] || fail "no signed loader is in /boot/efi/EFI: is shim-x64 installed?"
    grub2-install --target=i386-pc "$disk"
    grub2-mkconfig -o /boot/grub2/grub.cfg
    uuid=$(findmnt -n -o UUID --target /boot/grub2/grub.cfg)
    path=/grub2
    mountpoint -q /boot || path=/boot/grub2
    cat >"$vendor/grub.cfg" <<CFG
search --no-floppy --fs-uuid --set=dev $uuid
set prefix=(\$dev)$path
export \$prefix
configfile \$prefix/grub.cfg
CFG
}

if command -v grub2-install >/dev/null 2>&1; then
    redhat
else
    debian
fi
[ -s /boot/efi/EFI/BOOT/BOOTX64.EFI ] || fail "there is no loader in the removable path"
echo "both_firmwares.sh: $disk starts by BIOS and by UEFI"
