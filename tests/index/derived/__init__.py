"""Tests of ``assocmem.index.derived``."""
