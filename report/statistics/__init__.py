"""The statistics that Hardcut reports: each with its source, pure functions over numbers."""
