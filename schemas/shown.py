"""How a model was shown what it scored, in one line: a digest, and behind it the libraries that made it.

Two lines with the same digest say the same, whatever libraries they name.
"""

from __future__ import annotations

from collections.abc import Mapping


def shown_line(digest: str, versions: Mapping[str, str]) -> str:
    """Such as `1f0c… (transformers 5.24.0, torch 2.13.0)`."""
    libraries = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{digest} ({libraries})" if libraries else digest


def digest_in(line: str) -> str:
    """The digest of a line."""
    return line.partition(" ")[0]
