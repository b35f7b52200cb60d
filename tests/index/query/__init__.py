"""Tests of ``assocmem.index.query``."""
