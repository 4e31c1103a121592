"""Other wordings of a query: paraphrases and translations."""
