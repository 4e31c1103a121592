"""Speech by recognition: which recogniser the settings name, and what it hears as evidence.

Another recogniser is a file beside this, and a line in `open_recogniser`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from hardcut.engine.budget import CallBudget
from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import Pool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import model_and_address
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.records import Dropped, Evidence
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.speech import Recogniser, recognised_evidence
from hardcut.synth.evidence.transcription import Server
from hardcut.synth.evidence.whisper import Whisper
from hardcut.teacher.registry import key_of


def open_recogniser(
    spec: str,
    pool: Pool,
    resources: Resources,
    *,
    main: TeacherSettings | None = None,
    key_variable: str | None = None,
    minute: float = 0.0,
    replies: Callable[[], ReplyCache | None] = lambda: None,
    budget: CallBudget | None = None,
    digests: FileDigests | None = None,
    voiced: bool = False,
) -> Recogniser | None:
    """Who `evidence.speech` names: `whisper:MODEL` (a name or a folder) or `server:MODEL@URL`; None for `off` and
    `subtitles`.

    A server's key is in `key_variable`; without one, that of the `main` teacher is sent where both are at one host. Its
    `replies` are kept and its calls booked in `budget`, at the price of `minute` for a minute of sound. `digests` knows
    a model in a folder again. With `voiced` only sound with a voice is recognised. Raises UsageError for any other
    spec. Loads and connects to nothing yet.
    """
    kind, _, rest = spec.partition(":")
    if spec in ("off", "subtitles"):
        return None
    if kind == "whisper" and rest:
        return Whisper(rest, pool, digests, voiced)
    found = model_and_address(rest)
    if kind == "server" and found:
        main = main or TeacherSettings(spec=f"openai:{rest}")  # alone, it has the default key
        try:
            key = key_of(found[1], key_variable, "evidence.speech_key_variable", main)
            return Server(
                *found, pool, resources, key=key, replies=replies(), budget=budget, minute=minute, voiced=voiced
            )
        except UsageError as error:
            raise UsageError(f"evidence.speech: {error}") from error
    raise UsageError(
        f"evidence.speech = {spec!r}: give off, subtitles, whisper:MODEL or server:MODEL@URL, "
        "such as server:whisper-1@http://127.0.0.1:8000/v1"
    )


async def _speech(look: Look) -> list[Evidence | Dropped]:
    """Subtitles are kept beside what is heard; teachers are told the subtitles where there are both."""
    recogniser, video = look.setup.recogniser, look.video
    if recogniser is None or not video.has_audio:
        return []
    try:
        spoken = await recogniser.hear(look.path, video.duration_s)
    except ItemError as error:
        if error.reason != "no_audio":
            raise
        return [Dropped.create(item=video.video_id, stage="evidence", reason=error.reason, detail=error.detail)]
    return recognised_evidence(video, spoken, recogniser.name)


def _on(setup: Setup) -> bool:
    return setup.recogniser is not None


def _libraries(setup: Setup) -> Mapping[str, JsonValue]:
    return {"speech": setup.recogniser.settings} if setup.recogniser else {}


SPEECH = Extractor("speech", None, _speech, on=_on, libraries=_libraries, frames=False)
