"""Debian's repository format (https://wiki.debian.org/DebianRepository/Format)."""
