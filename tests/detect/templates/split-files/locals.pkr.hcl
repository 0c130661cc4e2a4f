locals {
  ver    = split(".", var.os_ver_9)
  major  = element(local.ver, 0)
  images = [for arch in ["x86_64", "aarch64"] : format("%s-%s-%s-boot.iso", "AlmaLinux", var.os_ver_9, arch)]
}
local "iso_url_9_x86_64" {
  expression = join("/", [var.mirrors["main"], local.major, "isos", "x86_64", local.images[0]])
}
