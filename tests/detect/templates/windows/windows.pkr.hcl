variable "edition" { default = "standard" }
variable "iso_url" {
  default = "https://software-static.download.prss.microsoft.com/dbazure/20348.169.210806-2348.fe_release_svc_refresh_SERVER_EVAL_x64FRE_en-us.iso"
}
source "xenserver-iso" "core" {
  iso_url        = var.iso_url
  tools_iso_name = "guest-tools.iso"
  floppy_files   = ["autounattend-${var.edition == "standard" ? "std" : "dc"}.xml"]
}
build { sources = ["source.xenserver-iso.core"] }
