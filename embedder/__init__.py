"""Vectors of videos and texts, their search, and the training of what makes them."""
