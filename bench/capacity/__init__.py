"""``assocmem bench capacity``: errors, speed and bytes of the clique memory, compared with theory and with FAISS."""
