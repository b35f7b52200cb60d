"""``assocmem bench duplicates``: how well altered copies find their originals, compared with hashes and with FAISS."""
