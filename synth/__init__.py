"""The stages: probe, evidence, captions, queries, negatives, scores."""
