"""From files to committed segments: walk, decode, describe, write."""
