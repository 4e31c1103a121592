"""What may be fetched for a run, and how much of it is kept. No key has it: where a video lies is not what it is."""

from __future__ import annotations

from pydantic import Field

from hardcut.schemas.base import Frozen


class SourceSettings(Frozen):
    """How videos are fetched that do not lie in a folder."""

    allow_hosts: tuple[str, ...] = Field(
        default=(), description="hosts that a list of addresses may name; *.example.org: all below it"
    )
    cache_bytes: int = Field(
        default=20 * 2**30, ge=2**20, description="fetched videos that are kept; what was not used for longest goes"
    )
    max_bytes: int = Field(default=8 * 2**30, ge=1, description="a larger file is not fetched")
    downloads: int = Field(default=8, ge=1, description="files that are fetched at one time")
