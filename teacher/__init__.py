"""The teacher protocol, its backends, prompts as files, and confidence."""
