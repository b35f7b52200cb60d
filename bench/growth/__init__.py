"""``assocmem bench growth``: how searches, changes and memory grow with the number of items."""
