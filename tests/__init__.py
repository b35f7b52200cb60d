"""Tests: an oracle beside each kernel, real files, real processes."""
