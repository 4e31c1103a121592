"""Plots of pages and cards: their geometry and their pictures."""
