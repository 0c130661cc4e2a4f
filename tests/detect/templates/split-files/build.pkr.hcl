build {
  sources = ["qemu.gencloud-x86_64"]
}
