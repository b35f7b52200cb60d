"""``assocmem bench seen``: false alarms, misses and time of the familiarity memory."""
