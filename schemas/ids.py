"""Ids and digests: one canonical form of a value, one hash of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """One text for one value: keys sorted, no spaces, no NaN. Raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*parts: Any) -> str:
    """SHA-256 in hex over the canonical JSON of `parts` (64 characters)."""
    return hashlib.sha256(canonical_json(parts).encode("utf-8", "surrogatepass")).hexdigest()


def content_id(prefix: str, *parts: Any) -> str:
    """A record's id from its content: `prefix_` and 80 bits of the digest of `parts`."""
    return f"{prefix}_{digest(*parts)[:20]}"
