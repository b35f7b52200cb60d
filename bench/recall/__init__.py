"""``assocmem bench recall``: recall, speed and bytes of vector indexes, each behind a small adapter."""
