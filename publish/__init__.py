"""From records to a Hugging Face dataset: judgments, splits, Parquet, the card."""
