"""Benchmarks of nuance: order, negation and composed edits, by their own files and measures."""
