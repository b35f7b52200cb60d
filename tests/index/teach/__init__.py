"""Tests of ``assocmem.index.teach``."""
