"""``asyncpipe host`` and ``asyncpipe import``: what is on XCP-ng/XenServer hosts."""
