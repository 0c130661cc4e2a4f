# A whole build in seconds, without a hypervisor: real Packer, real output, a genuine small XVA.
# Works from Packer 1.6.6 on; needs no plugins and no network.
#
#   asyncpipe build templates/demo
#   asyncpipe build templates/demo -var size_mib=4096               # a multi-GB XVA
#   asyncpipe build templates/demo -var fail_in_provisioner=true    # how a failure looks

variable "output_directory" {
  type        = string
  default     = "output-demo"
  description = "Where the XVA is written; asyncpipe gives each run a fresh folder."
}

variable "size_mib" {
  type        = number
  default     = 48
  description = "Size of the demo's disk in MiB; all of it is data."
}

variable "seconds" {
  type        = number
  default     = 3
  description = "How long the pretended installation takes."
}

variable "fail_in_provisioner" {
  type        = bool
  default     = false
  description = "End with an error in the middle of provisioning."
}

locals {
  # Said here since there is no ISO to read it from; the guest's evidence confirms it.
  os_name    = "debian"
  os_version = "12"

  # Published as debian12-demo, and left out where a folder or a glob means many templates.
  variant    = "demo"
  production = false

  # Packer's own command leaves the script's path unquoted: a blank in it would end the name.
  run_script = ["/bin/sh", "-c", "{{.Vars}} \"$0\"", "{{.Script}}"]

  # What a real template would install from; nothing is downloaded here.
  iso_name = "debian-12.11.0-amd64-netinst.iso"
  vm_name  = "demo"
}

source "null" "demo" {
  communicator = "none"
}

build {
  sources = ["source.null.demo"]

  provisioner "shell-local" {
    environment_vars = [
      "DEMO_ISO=${local.iso_name}",
      "DEMO_SECONDS=${var.seconds}",
      "DEMO_FAIL=${var.fail_in_provisioner}",
    ]
    execute_command = local.run_script
    scripts         = ["${path.root}/install.sh"]
  }

  provisioner "shell-local" {
    environment_vars = ["DEMO_FOLDER=${path.root}"]
    execute_command  = local.run_script
    scripts          = ["${path.root}/evidence.sh"]
  }

  provisioner "shell-local" {
    environment_vars = [
      "DEMO_FOLDER=${path.root}",
      "DEMO_NAME=${local.vm_name}",
      "DEMO_OUTPUT=${var.output_directory}",
      "DEMO_SIZE_MIB=${var.size_mib}",
    ]
    execute_command = local.run_script
    scripts         = ["${path.root}/export.sh"]
  }
}
