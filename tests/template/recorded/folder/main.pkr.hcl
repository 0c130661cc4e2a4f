variable "release" { default = "9.6.1" }
variable "major" { default = 9 }
variable "minor" { default = 6.0 }
variable "enabled" { default = true }
variable "names" { default = ["web", "db", "app", "db"] }
variable "nums" {
  type    = list(number)
  default = [30, 10, "20"]
}
variable "disks" {
  type    = list(string)
  default = [40960, "8192"]
}
variable "tags" {
  type    = map(string)
  default = { tier = "gold", count = 2, live = false }
}
variable "uniq" {
  type    = set(string)
  default = ["noble", "jammy", "noble"]
}
variable "vm" {
  type    = object({ os = string, version = optional(string, "9"), cores = optional(number, 4), iso = optional(object({ name = optional(string, "boot") }), {}) })
  default = { os = "rocky" }
}
variable "list_of" {
  type    = list(object({ name = string, size = optional(number, 8) }))
  default = [{ name = "boot" }, { name = "srv", size = "64" }]
}
variable "pair" {
  type    = tuple([string, number])
  default = [6, "7"]
}
variable "anything" {
  type    = any
  default = { b = ["1", 2], a = null }
}
variable "nothing" {
  type    = string
  default = null
}
variable "text" { default = "first\n\nthird\n" }
variable "unicode" { default = "Žluťoučký kůň ﬁn" }
variable "strnum" {
  type    = string
  default = 8.10
}
variable "numstr" {
  type    = number
  default = "3.140"
}
variable "url" { default = "https://dl.rockylinux.org/vault/rocky/9.6/isos/x86_64/Rocky-9.6-x86_64-minimal.iso" }
locals {
  codenames = { "9" = "blue onyx", "10" = "red quartz" }
  os        = { name = "rocky", version = var.release }
  iso       = "Rocky-${var.release}-x86_64-dvd.iso"
  matrix    = { for k, v in local.codenames : v => k }
  nested    = { z = { list = [1, 2, { deep = "x" }] }, a = [] }
  indented  = <<-EOT
    first ${var.major}
      second
    %{if var.enabled~}
    third
    %{endif~}
  EOT
}
source "null" "x" { communicator = "none" }
build { sources = ["null.x"] }
