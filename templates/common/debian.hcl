# Debian's installer (d-i), answered by templates/common/http/debian/preseed.cfg.

variable "security_mirror" {
  type        = string
  description = "Mirror of the security updates, which the template keeps; empty is Debian's."
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^ '\"@]+[^ '\"@/])?$", var.security_mirror))
    error_message = "A mirror is a plain http:// or https:// URL without user, password and final slash."
  }
}

locals {
  os_family  = "debian"
  http_dir   = "${path.root}/../../common/http/debian"
  family_env = []

  family_variant = local.layout == "plain" ? "" : local.layout

  family_answers = [
    "asyncpipe.mirror=${var.package_mirror != "" ? var.package_mirror : "http://deb.debian.org/debian"}",
    "asyncpipe.security=${var.security_mirror != "" ? var.security_mirror : "http://deb.debian.org/debian-security"}",
    "asyncpipe.layout=${local.layout}",
  ]

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
