"""``assocmem bench duplicates``: near copies found and grouped, beside hashes and FAISS."""
