# How the scripts under provisioning/ are run in the guest; the same for every builder.

locals {
  # -n: fail rather than wait for a password; sh reads the file, so /tmp may be mounted noexec.
  as_root = "chmod 0600 {{ .Path }}; sudo -n env {{ .Vars }} sh -eu {{ .Path }}"
  as_user = "sh -eu {{ .Path }}"

  # Only what this system runs is uploaded: a change of the other family's scripts does not touch it.
  scripts = [
    for name in ["provision.sh", "common", "xen", local.os_family] : "${local.provisioning_dir}/${name}"
  ]

  provisioning_env = concat(
    [
      "BUILD_USER=${var.build_username}",
      "HARDENING_PROFILE=${var.hardening_profile}",
      "AUTOMATIC_UPDATES=${var.automatic_updates}",
      "ALLOW_FORWARDING=${var.allow_forwarding}",
      "NTP_SERVERS=${join(" ", var.ntp_servers)}",
      "CLOUD_INIT_DATASOURCES=${join(" ", var.cloud_init_datasources)}",
      "XEN_TOOLS_SOURCE=${var.guest_agent_source}",
      "XEN_TOOLS_URL=${var.guest_agent_url}",
      "XEN_TOOLS_SHA256=${var.guest_agent_sha256}",
    ],
    local.family_env,
    var.http_proxy == "" ? [] : ["http_proxy=${var.http_proxy}", "https_proxy=${var.http_proxy}"],
  )
}
