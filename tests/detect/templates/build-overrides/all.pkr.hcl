source "xenserver-iso" "base" {
  cpus    = 2
  iso_url = "https://example.org/none.iso"
}

build {
  name = "linux"
  source "source.xenserver-iso.base" {
    name    = "server-a"
    iso_url = "https://releases.ubuntu.com/noble/ubuntu-24.04.4-live-server-amd64.iso"
  }
  source "source.xenserver-iso.base" {
    name    = "server-b"
    iso_url = "https://cdimage.debian.org/cdimage/archive/12.14.0/amd64/iso-cd/debian-12.14.0-amd64-netinst.iso"
  }
}
