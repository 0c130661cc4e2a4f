"""Everything that knows Packer: its lines, its versions, its run."""
