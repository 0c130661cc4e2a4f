#!/bin/bash
# Sets cloud-init up, the same in every family.
#
# Does:     writes a file that cloud-init reads after the distribution's own (its package writes
#           90_dpkg.cfg), so that a clone looks for its drive as NoCloud (Xen Orchestra) and as
#           ConfigDrive, and starts with DHCP where there is neither, without a warning at each login;
#           SSH host keys of the two kinds that sshd uses. verify_image.sh asks cloud-init itself what
#           is in force.
# Variables: CLOUD_INIT_DATASOURCES  default "NoCloud ConfigDrive None", in the order they are tried
# Needs:    root, the package mirrors.
# shellcheck source=provisioning/common/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DATASOURCES=${CLOUD_INIT_DATASOURCES:-NoCloud ConfigDrive None}

packages() {
    case $OS_FAMILY in
        debian) install_packages cloud-init cloud-guest-utils python3 ;;
        redhat) install_packages cloud-init cloud-utils-growpart ;;
    esac
    rm -f /etc/cloud/cloud-init.disabled /etc/cloud/cloud.cfg.d/90-asyncpipe.cfg
}

settings() {
    # The last file wins, in the order of C. Without this "locale" cloud-init sets en_US.UTF-8, whatever
    # the template's is, and fails where that is not installed. The quotes are for its schema, which wants
    # text: without them each start logs that the configuration is not valid.
    put /etc/cloud/cloud.cfg.d/99-zz-asyncpipe.cfg 0644 <<CFG
datasource_list: [${DATASOURCES// /, }]
disable_root: true
ssh_pwauth: false
ssh_deletekeys: true
ssh_genkeytypes: [ed25519, rsa]
preserve_hostname: false
growpart:
  mode: auto
  devices: ["/"]
resize_rootfs: true
locale: "false"
warnings:
  dsid_missing_source: off
CFG
    # Without this, a machine without a drive would have no cloud-init and so no network.
    put /etc/cloud/ds-identify.cfg 0644 <<'CFG'
policy: search,found=all,maybe=all,notfound=enabled
CFG
}

[[ $DATASOURCES =~ ^[A-Za-z0-9]+(\ [A-Za-z0-9]+)*$ ]] ||
    die "CLOUD_INIT_DATASOURCES is '$DATASOURCES'; set it to names with single blanks between, such as 'NoCloud ConfigDrive None'"
begin
require_space / 256
package_lists
packages
settings
say "done: cloud-init tries $DATASOURCES"
