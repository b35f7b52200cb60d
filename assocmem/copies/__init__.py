"""Near duplicates: candidate pairs, their similarity, groups, and the original of a copy."""
