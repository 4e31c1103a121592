"""The `evidence` teacher: no model, only rules over the evidence."""
