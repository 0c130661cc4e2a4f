"""Everything that knows XAPI: trust, login, what is on the pool, and importing an XVA."""
