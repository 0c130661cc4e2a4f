variable "os_ver_9" {
  description = "AlmaLinux 9 version, not 8.10"
  type        = string
  default     = "9.7"
  validation {
    condition     = can(regex("9.[0-9]$|9.[1-9][0-9]$", var.os_ver_9))
    error_message = "The os_ver_9 value must be one of released or prereleased versions of AlmaLinux OS 9."
  }
}
variable "mirrors" {
  type = map(string)
  default = {
    "main"  = "https://repo.almalinux.org/almalinux"
    "vault" = "https://vault.almalinux.org"
  }
}
