# Ubuntu 24.04 LTS (noble). The other files of this folder are the same for every template.

variable "iso_mirror" {
  type        = string
  description = "Where the vendor's installation images are, or a mirror with the same folders."
  default     = "https://releases.ubuntu.com"
}

variable "iso_path" {
  type        = string
  description = "The image's path below the mirror."
  default     = "noble/ubuntu-24.04.4-live-server-amd64.iso"
}

variable "iso_checksum_path" {
  type        = string
  description = "Path of the vendor's file of sums below the mirror."
  default     = "noble/SHA256SUMS"
}

locals {
  os_name        = "ubuntu"
  os_version     = "24.04"
  os_title       = "Ubuntu 24.04 LTS (noble)"
  clone_template = "Ubuntu Noble Numbat 24.04"
}
