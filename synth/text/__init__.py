"""Triplets out of captions alone, without any video."""
