"""Associative memories of bits: the clique memory, the Willshaw memory, the familiarity memory, their capacity."""
