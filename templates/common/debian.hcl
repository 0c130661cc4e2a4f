# Debian's installer (d-i), answered by templates/common/http/debian/preseed.cfg.

locals {
  os_family = "debian"
  http_dir  = "${path.root}/../../common/http/debian"

  # Arguments after "---" would be copied to the installed system's boot loader: none are.
  installer = "auto=true priority=critical url=${local.http_url}/preseed.cfg hostname=${local.os_name} domain=localdomain ${local.answers} --- quiet"

  boot_command = var.firmware == "uefi" ? [
    "<wait>c<wait3>",
    "linux /install.amd/vmlinuz ${local.installer}<enter><wait3>",
    "initrd /install.amd/initrd.gz<enter><wait3>",
    "boot<enter>",
    ] : [
    "<esc><wait3>",
    "/install.amd/vmlinuz initrd=/install.amd/initrd.gz ${local.installer}<enter>",
  ]
}
