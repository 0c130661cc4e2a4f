"""An XVA on its way out: ranges side by side, verified before the file gets its name."""
