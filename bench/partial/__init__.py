"""``assocmem bench partial``: recall if part of the query is missing, of numbers or of pictures."""
