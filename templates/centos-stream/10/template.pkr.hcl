# CentOS Stream 10. The other files of this folder are links to templates/common.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://mirror.stream.centos.org"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "10-stream/BaseOS/x86_64/iso/CentOS-Stream-10-latest-x86_64-boot.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "10-stream/BaseOS/x86_64/iso/CentOS-Stream-10-latest-x86_64-boot.iso.SHA256SUM"
}

locals {
  os_name        = "centos-stream"
  os_version     = "10"
  os_title       = "CentOS Stream 10"
  clone_template = "Red Hat Enterprise Linux 10"
  package_mirror = "https://mirror.stream.centos.org/10-stream"
  base_path      = "BaseOS/x86_64/os/"
  appstream_path = "AppStream/x86_64/os/"
}
