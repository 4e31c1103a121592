"""Prompts: their templates, what fills them, and the question that comes of it."""
