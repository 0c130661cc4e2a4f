"""HCL and its JSON form -> the syntax tree."""
