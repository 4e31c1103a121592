"""Review by people: the loop through Argilla, agreement and adjudication."""
