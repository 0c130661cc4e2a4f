# Ubuntu's live server installer (subiquity), answered by templates/common/http/ubuntu/user-data.

variable "security_mirror" {
  type        = string
  description = "Mirror of the security updates, which the template keeps; empty is Ubuntu's."
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^ '\"@]+[^ '\"@/])?$", var.security_mirror))
    error_message = "A mirror is a plain http:// or https:// URL without user, password and final slash."
  }
}

locals {
  os_family  = "debian"
  http_dir   = "${path.root}/../../common/http/ubuntu"
  family_env = []

  family_variant = ""

  family_answers = [
    "asyncpipe.mirror=${var.package_mirror != "" ? var.package_mirror : "http://archive.ubuntu.com/ubuntu"}",
    "asyncpipe.security=${var.security_mirror != "" ? var.security_mirror : "http://security.ubuntu.com/ubuntu"}",
  ]

  # GRUB for both firmwares. Its shell would end the command at a bare semicolon.
  boot_command = [
    "<wait>c<wait3>",
    "linux /casper/vmlinuz autoinstall 'ds=nocloud;s=${local.http_url}/' ${local.answers} ---<enter><wait3>",
    "initrd /casper/initrd<enter><wait3>",
    "boot<enter>",
  ]
}
