# Ubuntu's live server installer (subiquity), answered by templates/common/http/ubuntu/user-data.

locals {
  os_family = "debian"
  http_dir  = "${path.root}/../../common/http/ubuntu"

  # GRUB for both firmwares. Its shell would end the command at a bare semicolon.
  boot_command = [
    "<wait>c<wait3>",
    "linux /casper/vmlinuz autoinstall 'ds=nocloud;s=${local.http_url}/' ${local.answers} ---<enter><wait3>",
    "initrd /casper/initrd<enter><wait3>",
    "boot<enter>",
  ]
}
