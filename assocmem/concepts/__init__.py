"""Concepts learned from examples, one at a time: ``ConceptMemory`` and what answers for it."""
