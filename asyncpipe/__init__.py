"""Build XCP-ng/XenServer templates with Packer, verify the XVA, publish to S3."""

__version__ = "0.1.0"
