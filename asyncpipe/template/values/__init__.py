"""Typed values: what go-cty is to Packer."""
