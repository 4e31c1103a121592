"""The checks of the gate: each a small function with a name, a limit and a finding."""
