variable "remote_password" {
  type      = string
  sensitive = true
}
source "xenserver-iso" "server" {
  iso_urls       = ["https://cdimage.debian.invalid/mirror/ubuntu-24.04.4-live-server-amd64.iso", "https://releases.ubuntu.com/noble/ubuntu-24.04.4-live-server-amd64.iso"]
  clone_template = "Ubuntu Focal Fossa 20.04"
  vm_name        = "debian-like"
  password       = var.remote_password
}
build { sources = ["xenserver-iso.server"] }
