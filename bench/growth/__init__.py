"""``assocmem bench growth``: how times and bytes grow with the number of items."""
