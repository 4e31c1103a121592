"""The `hardcut` command: parses, calls one function, prints."""
