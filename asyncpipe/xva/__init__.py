"""XVA exports: ``validator`` checks one while it passes by, ``writer`` and ``reader`` convert."""
