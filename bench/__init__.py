"""Benchmarks, loaded only by ``assocmem bench``: every engine runs in a process of its own, rivals in the same run."""
