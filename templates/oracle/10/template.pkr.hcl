# Oracle Linux 10. The other files of this folder are links to templates/common.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://yum.oracle.com/ISOS/OracleLinux"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "OL10/u0/x86_64/OracleLinux-R10-U0-x86_64-boot.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "OL10/u0/x86_64/OracleLinux-R10-U0-x86_64-boot.iso.sha256"
}

locals {
  os_name        = "oracle"
  os_version     = "10"
  os_title       = "Oracle Linux 10"
  clone_template = "Red Hat Enterprise Linux 10"
  package_mirror = "https://yum.oracle.com/repo/OracleLinux/OL10"
  base_path      = "baseos/latest/x86_64/"
  appstream_path = "appstream/x86_64/"
}
