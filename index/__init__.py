"""A collection on disk: a catalog, immutable segments, one writer, any number of readers."""
