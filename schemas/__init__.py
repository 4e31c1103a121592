"""Frozen, typed records and settings, ids, and JSON Lines."""
