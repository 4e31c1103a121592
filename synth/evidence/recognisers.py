"""Which recogniser of speech the settings name. Another one is a file beside this and a line here."""

from __future__ import annotations

from collections.abc import Callable

from hardcut.engine.budget import CallBudget
from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import WorkerPool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import model_and_address
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Resources, TeacherSettings
from hardcut.synth.evidence.speech import Recogniser
from hardcut.synth.evidence.transcription import Server
from hardcut.synth.evidence.whisper import Whisper
from hardcut.teacher.registry import key_of


def open_recogniser(
    spec: str,
    pool: WorkerPool,
    resources: Resources,
    *,
    main: TeacherSettings | None = None,
    key_variable: str | None = None,
    minute: float = 0.0,
    replies: Callable[[], ReplyCache | None] = lambda: None,
    budget: CallBudget | None = None,
    digests: FileDigests | None = None,
) -> Recogniser | None:
    """Who `evidence.speech` names: `whisper:MODEL` (a name or a folder) or `server:MODEL@URL`; None for `off` and
    `subtitles`.

    A server's key is in `key_variable`; without one, that of the `main` teacher is sent where both are at one host. Its
    `replies` are kept and its calls booked in `budget`, at the price of `minute` for a minute of sound. `digests` knows
    a model in a folder again. Raises UsageError for any other spec. Loads and connects to nothing yet.
    """
    kind, _, rest = spec.partition(":")
    if spec in ("off", "subtitles"):
        return None
    if kind == "whisper" and rest:
        return Whisper(rest, pool, digests)
    found = model_and_address(rest)
    if kind == "server" and found:
        main = main or TeacherSettings(spec=f"openai:{rest}")  # alone, it has the default key
        try:
            key = key_of(found[1], key_variable, "evidence.speech_key_variable", main)
            return Server(*found, pool, resources, key=key, replies=replies(), budget=budget, minute=minute)
        except UsageError as error:
            raise UsageError(f"evidence.speech: {error}") from error
    raise UsageError(
        f"evidence.speech = {spec!r}: give off, subtitles, whisper:MODEL or server:MODEL@URL, "
        "such as server:whisper-1@http://127.0.0.1:8000/v1"
    )
