# Every variable that the templates share, and what is made of them for one run.
# Each template folder has this file, because Packer reads exactly one folder.

# --- the machine --------------------------------------------------------------------------------

variable "vm_name" {
  type        = string
  description = "Name of the VM and of the exported file; empty is series and run, such as debian12-20261123T170000Z-0a1b2c3d, or series and time."
  default     = ""

  validation {
    condition     = !can(regex("/", var.vm_name))
    error_message = "The name becomes a file name: it must not contain a slash."
  }
}

variable "run_timestamp" {
  type        = string
  description = "The run's time, such as 20261123T170000Z, when a caller has one; empty is now (UTC)."
  default     = ""
}

variable "run_id" {
  type        = string
  description = "The run's own name, when a caller has one: two runs of one second then have different VMs."
  default     = ""
}

variable "disk_size_mb" {
  type        = number
  description = "Size of the disk in MiB. The root file system is last on it and grows on first boot."
  default     = 10240

  validation {
    condition     = var.disk_size_mb >= 6144
    error_message = "The installers need a disk of at least 6144 MiB."
  }
}

variable "memory_mb" {
  type        = number
  description = "Memory in MiB. The installers of the Red Hat family and of Ubuntu need 3 GiB to run from the network."
  default     = 4096

  validation {
    condition     = var.memory_mb >= 1024
    error_message = "The installers need at least 1024 MiB."
  }
}

variable "vcpus" {
  type        = number
  description = "Virtual CPUs."
  default     = 2
}

variable "firmware" {
  type        = string
  description = "bios or uefi: what the installer is started by and the VM is set to. The disk starts by both."
  default     = "bios"

  validation {
    condition     = contains(["bios", "uefi"], var.firmware)
    error_message = "The firmware is bios or uefi."
  }
}

variable "variant" {
  type        = string
  description = "Which of several images of this system: web publishes debian12-web. Empty: what firmware and hardening profile say."
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?)?$", var.variant))
    error_message = "A variant has at most 40 of a-z, 0-9 and, in between, dots, dashes and underscores."
  }
}

# --- the result ---------------------------------------------------------------------------------

variable "output_directory" {
  type        = string
  description = "Folder that receives the XVA; a fresh one for each run, because a cancelled build deletes it with everything in it."
  default     = "output"
}

# --- the installation ---------------------------------------------------------------------------

variable "iso_checksum" {
  type        = string
  description = "Checksum of the image such as sha256:<hex>; empty takes the vendor's file of sums beside it."
  default     = ""
}

variable "http_port_min" {
  type        = number
  description = "First port tried for the HTTP server that the installer reads its answers from."
  default     = 8000
}

variable "http_port_max" {
  type        = number
  description = "Last port tried for the HTTP server."
  default     = 8099
}

variable "locale" {
  type        = string
  description = "Locale of the installed system."
  default     = "en_US.UTF-8"

  validation {
    condition     = can(regex("^[A-Za-z_]+(\\.[A-Za-z0-9-]+)?$", var.locale))
    error_message = "A locale looks like en_US.UTF-8."
  }
}

variable "keyboard" {
  type        = string
  description = "Keyboard layout of the installed system's console."
  default     = "us"

  validation {
    condition     = can(regex("^[a-z]+$", var.keyboard))
    error_message = "A keyboard layout looks like us, fr or de."
  }
}

variable "timezone" {
  type        = string
  description = "Time zone of the installed system."
  default     = "Etc/UTC"

  validation {
    condition     = can(regex("^[A-Za-z0-9_+/-]+$", var.timezone))
    error_message = "A time zone looks like Etc/UTC or Europe/Paris."
  }
}

variable "package_mirror" {
  type        = string
  description = "Mirror of the packages, which the template keeps; empty is the vendor's. Debian and Ubuntu: the folder that holds dists; Red Hat family: the one that holds BaseOS and AppStream."
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^ '\"@]+[^ '\"@/]|cdrom)?$", var.package_mirror))
    error_message = "A mirror is a plain http:// or https:// URL without user, password and final slash; cdrom takes the packages of a DVD image (Red Hat family)."
  }
}

variable "http_proxy" {
  type        = string
  description = "Proxy for packages during the build, such as http://proxy.example:3128; nothing of it stays in the template."
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^ '\"@]+)?$", var.http_proxy))
    error_message = "A proxy is a plain http:// or https:// URL without user and password."
  }
}

variable "install_timeout" {
  type        = string
  description = "Time limit for the installation, up to the first SSH login."
  default     = "60m"
}

variable "boot_wait" {
  type        = string
  description = "Time from power-on to the first key; longer on a slow host."
  default     = "10s"
}

variable "build_username" {
  type        = string
  description = "User that exists during the build only."
  default     = "packer"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,30}$", var.build_username))
    error_message = "The build user's name has lower-case letters, digits, - and _."
  }
}

variable "build_password" {
  type        = string
  description = "That user's password. Empty makes a random one for this run. The user is gone at the end of the build, so it opens nothing."
  default     = ""
  sensitive   = true
}

variable "build_password_hash" {
  type        = string
  description = "crypt(3) hash of build_password; empty computes one. Give both or neither."
  default     = ""
  sensitive   = true
}

# --- what is made of the system -----------------------------------------------------------------

variable "allow_forwarding" {
  type        = bool
  description = "Let the system forward packets, which containers, Kubernetes and routers need."
  default     = false
}

variable "ntp_servers" {
  type        = list(string)
  description = "Time servers that the template asks; empty leaves the distribution's, and those that DHCP names."
  default     = []

  validation {
    condition     = alltrue([for name in var.ntp_servers : can(regex("^[A-Za-z0-9.:-]+$", name))])
    error_message = "A time server is a host name or an address."
  }
}

variable "cloud_init_datasources" {
  type        = list(string)
  description = "Where a clone looks for its configuration, in this order; None stays last, so that a clone without one starts too."
  default     = ["NoCloud", "ConfigDrive", "None"]

  validation {
    condition     = alltrue([for name in var.cloud_init_datasources : can(regex("^[A-Za-z0-9]+$", name))])
    error_message = "A datasource is one of cloud-init's names, such as NoCloud or CloudStack."
  }
}

variable "hardening_profile" {
  type        = string
  description = "minimal, baseline or strict; docs/templates.md lists what each sets."
  default     = "baseline"

  validation {
    condition     = contains(["minimal", "baseline", "strict"], var.hardening_profile)
    error_message = "The hardening profile is minimal, baseline or strict."
  }
}

variable "automatic_updates" {
  type        = bool
  description = "Leave unattended security updates switched on in the template."
  default     = true
}

variable "guest_agent_source" {
  type        = string
  description = "auto, distribution, release, url or iso: where the Xen guest agent comes from (provisioning/xen/install_xen_tools.sh)."
  default     = "auto"

  validation {
    condition     = contains(["auto", "distribution", "release", "url", "iso"], var.guest_agent_source)
    error_message = "The guest agent's source is auto, distribution, release, url or iso."
  }
}

variable "guest_agent_url" {
  type        = string
  description = "Package (.deb or .rpm) of the guest agent, for the source 'url'."
  default     = ""
}

variable "guest_agent_sha256" {
  type        = string
  description = "SHA-256 of that package, or of XenServer's release for the source 'release' (two with a blank between for the Red Hat family): without it nothing is installed from a download."
  default     = ""

  validation {
    condition     = can(regex("^([0-9a-f]{64}( [0-9a-f]{64})?)?$", var.guest_agent_sha256))
    error_message = "A SHA-256 has 64 lower-case hex digits."
  }
}

# --- one run ------------------------------------------------------------------------------------

local "build_password" {
  expression = var.build_password != "" ? var.build_password : uuidv4()
  sensitive  = true
}

# The installers read the hash from the kernel's command line, where a dollar sign would have to be
# quoted differently for each boot loader: a colon, which no hash contains, stands for it.
local "build_password_hash" {
  expression = replace(var.build_password_hash != "" ? var.build_password_hash : bcrypt(local.build_password), "$", ":")
  sensitive  = true
}

locals {
  provisioning_dir = abspath("${path.root}/../../../provisioning")

  run_timestamp = var.run_timestamp != "" ? var.run_timestamp : formatdate("YYYYMMDD'T'hhmmss'Z'", timestamp())
  vm_name       = var.vm_name != "" ? var.vm_name : "${local.place}-${var.run_id != "" ? var.run_id : local.run_timestamp}"

  # What else than the system tells one image from another: debian12, debian12-uefi, debian12-strict, debian12-lvm.
  variants = compact([
    var.firmware == "uefi" ? "uefi" : "",
    var.hardening_profile == "baseline" ? "" : var.hardening_profile,
    local.family_variant,
  ])
  place = join("-", compact(["${local.os_name}${local.os_version}", local.variant]))

  http_url = "http://{{ .HTTPIP }}:{{ .HTTPPort }}"

  # What the answer files under templates/common/http read from /proc/cmdline, the same for all.
  answers = join(" ", concat(
    [
      "asyncpipe.http=${local.http_url}",
      "asyncpipe.user=${var.build_username}",
      "asyncpipe.hash=${local.build_password_hash}",
      "asyncpipe.locale=${var.locale}",
      "asyncpipe.keyboard=${var.keyboard}",
      "asyncpipe.timezone=${var.timezone}",
    ],
    local.family_answers,
    var.http_proxy == "" ? [] : ["asyncpipe.proxy=${var.http_proxy}"],
  ))
}
