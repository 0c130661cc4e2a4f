# Oracle Linux 9. The other files of this folder are links to templates/common.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://yum.oracle.com/ISOS/OracleLinux"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "OL9/u6/x86_64/OracleLinux-R9-U6-x86_64-boot.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "OL9/u6/x86_64/OracleLinux-R9-U6-x86_64-boot.iso.sha256"
}

locals {
  os_name        = "oracle"
  os_version     = "9"
  os_title       = "Oracle Linux 9"
  clone_template = "Oracle Linux 9"
  package_mirror = "https://yum.oracle.com/repo/OracleLinux/OL9"
  base_path      = "baseos/latest/x86_64/"
  appstream_path = "appstream/x86_64/"
}
