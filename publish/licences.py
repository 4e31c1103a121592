"""Licences by name: what the Hub takes in a card, and what lets a file be passed on."""

from __future__ import annotations

import re
from typing import Any

HUB = frozenset({
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "c-uda",
    "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0",
    "etalab-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0",
    "mit", "mpl-2.0", "odbl", "odc-by", "other", "pddl", "unknown", "unlicense",
})  # fmt: skip
"""Names that the Hub takes as `license` in a card's front matter (its list, without those of single models)."""
_OPEN = re.compile(
    r"cc0|cc-?by(-sa)?(-?\d(\.\d)?)?|cc-?by-nc(-sa)?(-?\d(\.\d)?)?|public-?domain|pd|pddl|odc-by|odbl|cdla-.*|mit|apache-?2(\.0)?"
    r"|bsd(-.*)?|unlicense|creativecommons.org/(licenses/by(-nc)?(-sa)?/\d\.\d|publicdomain/.*)"
)
_NO_DERIVATIVES = re.compile(r"-nd\b")


def front_matter(licence: str | None) -> dict[str, Any]:
    """`license` as the Hub takes it; one that it has no name for is `other`, with `license_name` beside it."""
    if not licence or not licence.strip():
        return {}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.casefold()).strip("-.")
    return {"license": name} if name in HUB else {"license": "other", "license_name": name or "unnamed"}


def allows_redistribution(licence: str | None) -> bool:
    """Whether a licence, by its usual name, SPDX name or Creative Commons address, lets anyone pass the file on."""
    name = (licence or "").strip().casefold()
    name = re.sub(r"^https?://(www\.)?", "", name).rstrip("/")
    name = re.sub(r"[\s_]+", "-", name).replace("creative-commons-", "cc-").replace("attribution", "by")
    if _NO_DERIVATIVES.search(name):
        name = _NO_DERIVATIVES.sub("", name)  # no derivatives: the whole file may still be passed on
    return bool(_OPEN.fullmatch(name) or re.fullmatch(r"cc0(-1\.0)?(-universal)?", name))
