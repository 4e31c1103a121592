"""Which recogniser of speech the settings name. Another one is a file beside this and a line here."""

from __future__ import annotations

import re

from hardcut.engine.pool import WorkerPool
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Resources
from hardcut.synth.evidence.speech import Recogniser
from hardcut.synth.evidence.transcription import Server
from hardcut.synth.evidence.whisper import Whisper

_SERVER = re.compile(r"(?P<model>.+?)@(?P<url>[A-Za-z][A-Za-z0-9+.-]*://.+)")


def open_recogniser(spec: str, pool: WorkerPool, resources: Resources) -> Recogniser | None:
    """Who `evidence.speech` names: `whisper:MODEL` (a name or a folder) or `server:MODEL@URL`; None for `off` and
    `subtitles`. Raises UsageError for anything else. Loads and connects to nothing yet."""
    kind, _, rest = spec.partition(":")
    if spec in ("off", "subtitles"):
        return None
    if kind == "whisper" and rest:
        return Whisper(rest, pool)
    match = _SERVER.fullmatch(rest)
    if kind == "server" and match:
        return Server(match["model"], match["url"], pool, resources)
    raise UsageError(
        f"evidence.speech = {spec!r}: give off, subtitles, whisper:MODEL or server:MODEL@URL, "
        "such as server:whisper-1@http://127.0.0.1:8000/v1"
    )
