"""``assocmem bench seen``: speed, memory, false alarms and misses of `assocmem.SeenMemory`."""
