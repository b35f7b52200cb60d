"""``assocmem bench capacity``: capacity, error and speed of the memories, beside theory and FAISS."""
