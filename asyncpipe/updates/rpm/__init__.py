"""The repodata of RPM repositories, as createrepo_c writes it."""
