"""What the choice of candidates for a query goes by."""
