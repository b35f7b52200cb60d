"""Memories that are derived from the segments, and their files."""
