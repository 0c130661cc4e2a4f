# Anaconda, answered by templates/common/http/redhat/ks.cfg.

variable "rhsm_organization" {
  type        = string
  description = "RHEL only: organization at Red Hat's subscription management, for the packages during the build. The template is not registered in the end."
  default     = ""
}

variable "rhsm_activation_key" {
  type        = string
  description = "RHEL only: activation key of that organization. Set it as PKR_VAR_rhsm_activation_key."
  default     = ""
  sensitive   = true
}

locals {
  os_family = "redhat"
  http_dir  = "${path.root}/../../common/http/redhat"

  # A private mirror is what the template keeps; a DVD is there during the installation only.
  family_env = concat(
    var.package_mirror == "" || var.package_mirror == "cdrom" ? [] : [
      "PACKAGE_MIRROR=${var.package_mirror}",
      "PACKAGE_MIRROR_BASE=${local.base_path}",
      "PACKAGE_MIRROR_APPSTREAM=${local.appstream_path}",
    ],
    var.rhsm_organization == "" ? [] : [
      "RHSM_ORGANIZATION=${var.rhsm_organization}",
      "RHSM_ACTIVATION_KEY=${var.rhsm_activation_key}",
    ],
  )

  family_answers = []
  family_variant = ""

  # The ends of the vendor's folders, which are not the same everywhere.
  repositories = "asyncpipe.mirror=${var.package_mirror != "" ? var.package_mirror : local.package_mirror} asyncpipe.base=${local.base_path} asyncpipe.appstream=${local.appstream_path}"

  installer = "inst.text inst.ks=${local.http_url}/ks.cfg ${local.answers} ${local.repositories}"

  # The series up to 9 still start from a CD with isolinux on BIOS; from 10 on GRUB serves both firmwares.
  # In GRUB's editor the kernel's line is the third of the first entry.
  boot_command = var.firmware == "bios" && contains(["8", "9"], local.os_version) ? [
    "<up><wait><tab><wait3> ${local.installer}<enter>",
    ] : [
    "<up><wait>e<wait3><down><down><end> ${local.installer}<wait3><leftCtrlOn>x<leftCtrlOff>",
  ]
}
