"""``assocmem bench concepts``: learning concepts, beside rivals."""
