"""Tests of ``assocmem.index.ingest``."""
