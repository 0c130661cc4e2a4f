# One VM on an XCP-ng or XenServer host, installed from an ISO and exported as an XVA.

packer {
  required_version = ">= 1.8.0"

  required_plugins {
    xenserver = {
      version = "~> 0.11.4"
      source  = "github.com/vatesfr/xenserver"
    }
  }
}

# --- the host -----------------------------------------------------------------------------------

variable "remote_host" {
  type        = string
  description = "Name or address of the pool's master. Set it as PKR_VAR_remote_host."
}

variable "remote_username" {
  type        = string
  description = "User that logs in to XAPI and, for the console's local address, to dom0 by SSH. Set it as PKR_VAR_remote_username."
}

variable "remote_password" {
  type        = string
  description = "That user's password. Set it as PKR_VAR_remote_password, never with -var: arguments are visible to every process."
  sensitive   = true
}

variable "remote_ssh_port" {
  type        = number
  description = "SSH port of dom0."
  default     = 22
}

variable "sr_name" {
  type        = string
  description = "Storage repository for the disk; empty is the pool's default."
  default     = ""
}

variable "sr_iso_name" {
  type        = string
  description = "Storage repository to which the installation image is uploaded; empty is the pool's default."
  default     = ""
}

variable "network_names" {
  type        = list(string)
  description = "Networks of the build VM, by name-label; empty is the management network. The guest must reach the runner's HTTP server and the package mirrors, the runner must reach the guest's port 22."
  default     = []
}

variable "export_network_names" {
  type        = list(string)
  description = "Networks the exported VM is attached to instead; empty keeps those of the build."
  default     = []
}

variable "clone_template" {
  type        = string
  description = "XAPI template whose hardware profile is used. An empty string is the system's usual one; 'Other install media' exists everywhere."
  default     = ""
}

variable "secure_boot" {
  type        = bool
  description = "Start only signed boot loaders and kernels; for firmware uefi, on a pool whose Secure Boot certificates are installed (secureboot-certs install)."
  default     = false
}

variable "keep_vm" {
  type        = string
  description = "never, or always: the VM stays at the host. asyncpipe sets it for --on-error keep."
  default     = "never"

  validation {
    condition     = contains(["never", "always", "on_success"], var.keep_vm)
    error_message = "The VM is kept never, always or on_success."
  }
}

variable "format" {
  type        = string
  description = "xva, or xva_compressed (gzip made by the host: smaller on the wire, several times slower)."
  default     = "xva"

  validation {
    condition     = contains(["xva", "xva_compressed"], var.format)
    error_message = "The format is xva or xva_compressed."
  }
}

variable "iso_name" {
  type        = string
  description = "Name of an installation image that is on an ISO repository already; empty downloads, verifies and uploads it."
  default     = ""
}

variable "tools_iso_name" {
  type        = string
  description = "Name of the guest tools image on an ISO repository, attached during the build for the source 'iso'; usually guest-tools.iso."
  default     = ""
}

locals {
  # Arguments that are named replace those of clone_template: with Secure Boot all of them are here.
  secure_platform = {
    acpi       = "1"
    apic       = "true"
    hpet       = "true"
    nx         = "true"
    pae        = "true"
    secureboot = "true"
    viridian   = "false"
  }
}

# --- the build -----------------------------------------------------------------------------------

locals {
  variant = var.variant != "" ? var.variant : join("-", local.variants)
}

source "xenserver-iso" "template" {
  remote_host     = var.remote_host
  remote_username = var.remote_username
  remote_password = var.remote_password
  remote_ssh_port = var.remote_ssh_port

  vm_name         = local.vm_name
  vm_description  = "${local.os_title}, ${var.firmware}, profile ${var.hardening_profile}, built ${local.run_timestamp}"
  vm_tags         = ["asyncpipe", local.place]
  clone_template  = var.clone_template != "" ? var.clone_template : local.clone_template
  firmware        = var.firmware
  platform_args   = var.secure_boot ? local.secure_platform : {}
  vcpus_max       = var.vcpus
  vcpus_atstartup = var.vcpus
  vm_memory       = var.memory_mb

  disk_name            = local.vm_name
  disk_size            = var.disk_size_mb
  sr_name              = var.sr_name
  sr_iso_name          = var.sr_iso_name
  network_names        = var.network_names
  export_network_names = var.export_network_names
  tools_iso_name       = var.tools_iso_name

  iso_name     = var.iso_name
  iso_url      = var.iso_name == "" ? "${var.iso_mirror}/${var.iso_path}" : null
  iso_checksum = var.iso_checksum != "" ? var.iso_checksum : "file:${var.iso_mirror}/${var.iso_checksum_path}"

  http_directory = local.http_dir
  http_port_min  = var.http_port_min
  http_port_max  = var.http_port_max
  boot_wait      = var.boot_wait
  boot_command   = local.boot_command

  # The address is that of the last request to the HTTP server: the installer's, then, after the
  # restart, the one that the installed system announces (templates/common/http/late.sh).
  ip_getter       = "auto"
  install_timeout = var.install_timeout

  ssh_username           = var.build_username
  ssh_password           = local.build_password
  ssh_wait_timeout       = var.install_timeout
  ssh_handshake_attempts = 1000

  ssh_file_transfer_method = "sftp"

  # No shutdown_command: the build user is gone by then; XAPI asks the guest's kernel to stop.
  output_directory  = var.output_directory
  format            = var.format
  keep_vm           = var.keep_vm
  skip_set_template = true
}

build {
  sources = ["source.xenserver-iso.template"]

  # Several sources go into a folder that is there already.
  provisioner "shell" {
    inline          = ["mkdir -m 0700 /tmp/provisioning"]
    execute_command = local.as_user
  }

  provisioner "file" {
    sources     = local.scripts
    destination = "/tmp/provisioning/"
  }

  # /tmp does not survive a restart.
  provisioner "shell" {
    inline          = ["install -d -m 0700 /var/lib/asyncpipe", "cp -R /tmp/provisioning/. /var/lib/asyncpipe/"]
    execute_command = local.as_root
  }

  provisioner "shell" {
    inline            = ["bash /var/lib/asyncpipe/provision.sh update"]
    environment_vars  = local.provisioning_env
    execute_command   = local.as_root
    expect_disconnect = true
    skip_clean        = true
    timeout           = "60m"
  }

  # Survives the restart: Packer connects again, and the guest finishes starting before it is changed.
  provisioner "shell" {
    inline           = ["bash /var/lib/asyncpipe/provision.sh configure"]
    environment_vars = local.provisioning_env
    execute_command  = local.as_root
    pause_before     = "20s"
    timeout          = "60m"
  }

  # One process, because the clean-up removes the user that is logged in: nothing can be started
  # after it, so that Packer must not try to delete its own script.
  provisioner "shell" {
    inline           = ["exec bash /var/lib/asyncpipe/provision.sh finish"]
    environment_vars = local.provisioning_env
    execute_command  = local.as_root
    skip_clean       = true
    timeout          = "30m"
  }
}
