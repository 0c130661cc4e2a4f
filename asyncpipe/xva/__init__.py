"""XVA exports: ``read`` checks one in a single pass and extracts disks, ``write`` makes one."""
