"""The commands, one module per group; imported only when one of them runs."""
