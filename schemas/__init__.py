"""Frozen, typed records and settings, ids, and JSON Lines in and out."""
