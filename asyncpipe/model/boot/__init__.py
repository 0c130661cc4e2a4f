"""The boot test of an image."""
