"""Filters of written queries that need no scores: pure functions, applied where queries meet videos."""
