"""``assocmem bench concepts``: concepts learned one example at a time, compared with other learners."""
