"""A real Argilla on this machine alone: its environment, its process, and the way to it.

What runs inside that environment is in `inside/`; nothing of ours but that folder is there.
"""
