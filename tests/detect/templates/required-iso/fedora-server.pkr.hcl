variable "fedora_iso_path" { type = string }
source "qemu" "server" {
  iso_url = var.fedora_iso_path
}
build { sources = ["source.qemu.server"] }
