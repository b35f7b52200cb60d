"""``assocmem bench recall``: recall against time and bytes, beside FAISS and others."""
