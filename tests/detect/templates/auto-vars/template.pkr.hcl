variable "release" {
  type    = string
  default = "11.8.0"
}
variable "iso" {
  type = object({ base = string, flavour = string })
  default = { base = "https://cdimage.debian.org/cdimage/archive", flavour = "netinst" }
}
locals {
  flavour = try(var.iso.flavor, var.iso.flavour)
  iso_url = "${var.iso["base"]}/${var.release}/amd64/iso-cd/debian-${var.release}-amd64-${coalesce(local.flavour, "DVD-1")}.iso"
}
source "xenserver-iso" "debian" {
  iso_url  = local.iso_url
  cd_files = ["./cd/preseed.cfg"]
}
build { sources = ["source.xenserver-iso.debian"] }
