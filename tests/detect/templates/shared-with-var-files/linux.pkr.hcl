packer {
  required_version = ">= 1.7.0"
  required_plugins {
    xenserver = {
      version = ">= 0.7.3"
      source  = "github.com/vatesfr/xenserver"
    }
  }
}

variable "os_name" { type = string }
variable "os_version" { type = string }
variable "os_arch" {
  type    = string
  default = "x86_64"
}
variable "iso_url" { type = string }
variable "iso_checksum" { type = string }

locals {
  # debian-11 was the last one before this file was shared
  iso_target = "${path.root}/builds/iso/${var.os_name}-${var.os_version}-${substr(sha256(var.iso_url), 0, 8)}.iso"
  vm_name    = "${var.os_name}-${var.os_version}-${var.os_arch}"
}

source "xenserver-iso" "vm" {
  iso_url         = var.iso_url
  iso_target_path = local.iso_target
  iso_checksum    = var.iso_checksum
  vm_name         = local.vm_name
  clone_template  = "Other install media"
  boot_command    = ["<esc>linux url=http://{{ .HTTPIP }}/debian-installer/ubuntu-18.04<enter>"]
}

build {
  sources = ["source.xenserver-iso.vm"]
  provisioner "shell" { scripts = ["${path.root}/scripts/update.sh"] }
}
