"""Tests of ``assocmem.index.store``."""
