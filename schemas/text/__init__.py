"""Pure helpers for text: words of any script, cleaning, directions."""
