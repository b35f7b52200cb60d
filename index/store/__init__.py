"""The collection on disk: catalog, segments, lock, settings, and a snapshot of one generation."""
