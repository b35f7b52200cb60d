"""HDF5 files that are written atomically and checked when they are read. Private."""
