# Debian 13 (trixie). The other files of this folder are the same for every template.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://cdimage.debian.org/cdimage"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "archive/13.5.0/amd64/iso-cd/debian-13.5.0-amd64-netinst.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "archive/13.5.0/amd64/iso-cd/SHA512SUMS"
}

locals {
  os_name        = "debian"
  os_version     = "13"
  os_title       = "Debian 13 (trixie)"
  layout         = "plain"
  clone_template = "Debian Bookworm 12"
}
