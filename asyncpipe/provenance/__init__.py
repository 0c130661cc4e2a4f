"""Where a version comes from, as a signed in-toto statement: made, signed, checked."""
