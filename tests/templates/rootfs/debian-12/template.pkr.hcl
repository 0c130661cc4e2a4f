# Debian 12 without a hypervisor, for tests: debootstrap makes the tree, the real provisioning runs in
# it by chroot, and the disk made of it becomes an XVA. The disk has no boot loader.

variable "output_directory" {
  type        = string
  description = "Folder that receives the XVA."
  default     = "output"
}

variable "run_timestamp" {
  type        = string
  description = "The run's time; empty is now (UTC)."
  default     = ""
}

locals {
  run_timestamp = var.run_timestamp != "" ? var.run_timestamp : formatdate("YYYYMMDD'T'hhmmss'Z'", timestamp())
  vm_name       = "debian12-${local.run_timestamp}"
  disk          = "${var.output_directory}/${local.vm_name}.raw"
}

source "null" "debian12" {
  communicator = "none"
}

build {
  sources = ["source.null.debian12"]

  provisioner "shell-local" {
    inline           = ["exec \"$${ASYNCPIPE_PYTHON:-python3}\" -m tests.templates.rootfs.make_disk \"$DISK\""]
    environment_vars = ["DISK=${local.disk}"]
  }

  provisioner "shell-local" {
    inline = ["exec sh templates/common/disk-to-xva.sh"]
    environment_vars = [
      "DISK=${local.disk}",
      "XVA=${var.output_directory}/${local.vm_name}.xva",
      "VM_NAME=${local.vm_name}",
      "VM_VCPUS=1",
      "VM_MEMORY_MB=1024",
      "VM_FIRMWARE=bios",
    ]
  }
}
