# Red Hat Enterprise Linux 9. The other files of this folder are links to templates/common.
# Red Hat serves its images to subscribers only: put the DVD image and its sums on a mirror of yours and
# pass iso_mirror, or on an ISO repository and pass iso_name.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://iso.example.invalid/rhel"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "rhel-9.8-x86_64-dvd.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "rhel-9.8-x86_64-dvd.iso.sha256"
}

locals {
  os_name        = "rhel"
  os_version     = "9"
  os_title       = "Red Hat Enterprise Linux 9"
  clone_template = "Red Hat Enterprise Linux 9"
  package_mirror = "cdrom"
  base_path      = "BaseOS/x86_64/os/"
  appstream_path = "AppStream/x86_64/os/"
}
