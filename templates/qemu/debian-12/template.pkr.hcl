# Debian 12 (bookworm) for those who have no XCP-ng host while they build: the same answers and the
# same provisioning under QEMU/KVM, then an XVA written from the disk by "asyncpipe xva create".

packer {
  required_version = ">= 1.8.0"

  required_plugins {
    qemu = {
      version = "~> 1.1"
      source  = "github.com/hashicorp/qemu"
    }
  }
}

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://cdimage.debian.org/cdimage"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "archive/12.14.0/amd64/iso-cd/debian-12.14.0-amd64-netinst.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "archive/12.14.0/amd64/iso-cd/SHA512SUMS"
}

variable "accelerator" {
  type        = string
  description = "kvm, or tcg on a machine without it, which takes an hour rather than minutes."
  default     = "kvm"
}

variable "efi_firmware_code" {
  type        = string
  description = "UEFI firmware of the runner, for firmware = uefi."
  default     = "/usr/share/OVMF/OVMF_CODE_4M.fd"
}

variable "efi_firmware_vars" {
  type        = string
  description = "Empty variable store that belongs to that firmware."
  default     = "/usr/share/OVMF/OVMF_VARS_4M.fd"
}

locals {
  os_name    = "debian"
  os_version = "12"
  os_title   = "Debian 12 (bookworm)"
  layout     = "plain"
  variant    = var.variant != "" ? var.variant : join("-", concat(["qemu"], local.variants))
  production = false # made without a hypervisor: a plan builds it when it is named
  disk       = "${var.output_directory}/disk/${local.vm_name}.raw"
}

source "qemu" "template" {
  iso_url      = "${var.iso_mirror}/${var.iso_path}"
  iso_checksum = var.iso_checksum != "" ? var.iso_checksum : "file:${var.iso_mirror}/${var.iso_checksum_path}"

  vm_name          = "${local.vm_name}.raw"
  output_directory = "${var.output_directory}/disk"
  accelerator      = var.accelerator
  headless         = true
  cpus             = var.vcpus
  memory           = var.memory_mb
  disk_size        = "${var.disk_size_mb}M"
  disk_interface   = "virtio"
  disk_discard     = "unmap"
  format           = "raw"
  net_device       = "virtio-net"

  efi_boot          = var.firmware == "uefi"
  efi_firmware_code = var.firmware == "uefi" ? var.efi_firmware_code : null
  efi_firmware_vars = var.firmware == "uefi" ? var.efi_firmware_vars : null

  http_directory = local.http_dir
  http_port_min  = var.http_port_min
  http_port_max  = var.http_port_max
  boot_wait      = var.boot_wait
  boot_command   = local.boot_command

  ssh_username             = var.build_username
  ssh_password             = local.build_password
  ssh_timeout              = var.install_timeout
  ssh_handshake_attempts   = 1000
  ssh_file_transfer_method = "sftp"

  # The build user is gone by the end: the guest stops by itself, see the last provisioner.
  disable_shutdown = true
  shutdown_timeout = "10m"
}

build {
  sources = ["source.qemu.template"]

  # Several sources go into a folder that is there already.
  provisioner "shell" {
    inline          = ["mkdir -m 0700 /tmp/provisioning"]
    execute_command = local.as_user
  }

  provisioner "file" {
    sources     = local.scripts
    destination = "/tmp/provisioning/"
  }

  # /tmp does not survive a restart.
  provisioner "shell" {
    inline          = ["install -d -m 0700 /var/lib/asyncpipe", "cp -R /tmp/provisioning/. /var/lib/asyncpipe/"]
    execute_command = local.as_root
  }

  provisioner "shell" {
    inline            = ["bash /var/lib/asyncpipe/provision.sh update"]
    environment_vars  = local.provisioning_env
    execute_command   = local.as_root
    expect_disconnect = true
    skip_clean        = true
    timeout           = "60m"
  }

  # Survives the restart: Packer connects again, and the guest finishes starting before it is changed.
  provisioner "shell" {
    inline           = ["bash /var/lib/asyncpipe/provision.sh configure"]
    environment_vars = local.provisioning_env
    execute_command  = local.as_root
    pause_before     = "20s"
    timeout          = "60m"
  }

  # One process, because the clean-up removes the user that is logged in: nothing can be started
  # after it, so that Packer must not try to delete its own script.
  provisioner "shell" {
    inline = [
      "bash /var/lib/asyncpipe/provision.sh finish",
      "exec systemctl --no-block poweroff",
    ]
    environment_vars  = local.provisioning_env
    execute_command   = local.as_root
    expect_disconnect = true
    skip_clean        = true
    timeout           = "30m"
  }

  post-processor "shell-local" {
    inline = ["exec sh '${path.root}/../../common/disk-to-xva.sh'"]
    environment_vars = [
      "DISK=${local.disk}",
      "XVA=${var.output_directory}/${local.vm_name}.xva",
      "VM_NAME=${local.vm_name}",
      "VM_VCPUS=${var.vcpus}",
      "VM_MEMORY_MB=${var.memory_mb}",
      "VM_FIRMWARE=${var.firmware}",
    ]
  }
}
