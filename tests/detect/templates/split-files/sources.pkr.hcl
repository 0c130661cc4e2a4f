source "qemu" "gencloud-x86_64" {
  iso_url      = local.iso_url_9_x86_64
  vm_name      = "GenericCloud-${var.os_ver_9}-${formatdate("YYYYMMDD", timestamp())}.qcow2"
  http_directory = "http"
}
