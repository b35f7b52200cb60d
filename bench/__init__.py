"""Benchmarks, loaded only by ``assocmem bench``: each figure from a process of its own, rivals in the same run."""
