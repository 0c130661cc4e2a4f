# Anaconda, answered by templates/common/http/redhat/ks.cfg.

variable "package_mirror" {
  type        = string
  description = "Folder that holds BaseOS and AppStream; empty is the system's own."
  default     = ""
}

locals {
  os_family = "redhat"
  http_dir  = "${path.root}/../../common/http/redhat"

  installer = "inst.text inst.ks=${local.http_url}/ks.cfg ${local.answers} asyncpipe.mirror=${var.package_mirror != "" ? var.package_mirror : local.package_mirror}"

  # The 9 series still starts from a CD with isolinux on BIOS; from 10 on GRUB serves both firmwares.
  # In GRUB's editor the kernel's line is the third of the first entry.
  boot_command = var.firmware == "bios" && local.os_version == "9" ? [
    "<up><wait><tab><wait3> ${local.installer}<enter>",
    ] : [
    "<up><wait>e<wait3><down><down><end> ${local.installer}<wait3><leftCtrlOn>x<leftCtrlOff>",
  ]
}
