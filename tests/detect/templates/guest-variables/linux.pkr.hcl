variable "vm_guest_os_name" { type = string }
variable "vm_guest_os_version" { type = string }
variable "vm_guest_os_type" { type = string }
variable "iso_datastore" { default = "store" }
variable "iso_path" { type = string }
variable "iso_file" { type = string }
locals {
  iso_paths = ["[${var.iso_datastore}] ${var.iso_path}/${var.iso_file}"]
  vm_name   = "${var.vm_guest_os_name}-${var.vm_guest_os_version}"
}
source "vsphere-iso" "linux" {
  guest_os_type = var.vm_guest_os_type
  iso_paths     = local.iso_paths
  vm_name       = local.vm_name
}
build { sources = ["source.vsphere-iso.linux"] }
