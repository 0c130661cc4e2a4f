# AlmaLinux 9. The other files of this folder are the same for every template.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://repo.almalinux.org/almalinux"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "9/isos/x86_64/AlmaLinux-9.8-x86_64-boot.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "9/isos/x86_64/CHECKSUM"
}

locals {
  os_name        = "almalinux"
  os_version     = "9"
  os_title       = "AlmaLinux 9"
  clone_template = "AlmaLinux 9"
  package_mirror = "https://repo.almalinux.org/almalinux/9"
  base_path      = "BaseOS/x86_64/os/"
  appstream_path = "AppStream/x86_64/os/"
}
