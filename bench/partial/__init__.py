"""``assocmem bench partial``: queries of which a part is missing."""
