"""Vectors to codes: winner-take-all codes, hash codes, nibble codes, sketches of pictures, missing values."""
