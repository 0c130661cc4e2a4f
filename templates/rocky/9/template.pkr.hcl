# Rocky Linux 9. The other files of this folder are the same for every template.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://download.rockylinux.org/pub/rocky"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "9/isos/x86_64/Rocky-9.8-x86_64-boot.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "9/isos/x86_64/CHECKSUM"
}

locals {
  os_name        = "rocky"
  os_version     = "9"
  os_title       = "Rocky Linux 9"
  clone_template = "Rocky Linux 9"
  package_mirror = "https://download.rockylinux.org/pub/rocky/9"
  base_path      = "BaseOS/x86_64/os/"
  appstream_path = "AppStream/x86_64/os/"
}
