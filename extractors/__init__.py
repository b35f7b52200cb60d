"""Media in, features out: reading pictures and video shots, and the networks that describe them."""
