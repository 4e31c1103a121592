"""Formats of others: a file each, and a line in the registry."""
