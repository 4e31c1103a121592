"""A teacher for scripts: opened by name, or made of a function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hardcut.engine.background import background
from hardcut.engine.closing import Closing
from hardcut.pipeline.cache import Cache, cache_folder
from hardcut.pipeline.single_clip import JudgedClip, SingleClips
from hardcut.schemas.config import load_settings
from hardcut.schemas.records import Caption
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.function import Function, register
from hardcut.teacher.protocol import Teacher

PathLike = str | Path


class OpenTeacher(Closing):
    """A teacher; `hardcut.open_teacher` and `hardcut.teacher_from` make it. It loads and connects to nothing before its
    first question.

    Call `close`, or use a `with` block, to free the memory of a model. The end of the process closes it too.
    """

    def __init__(self, settings: Settings, cache: Cache) -> None:
        self.settings = settings
        """All settings in force: how videos are sampled, what is looked for, how captions are written."""
        self.cache = cache
        self._clips: SingleClips | None = None

    @property
    def teacher(self) -> TeacherSettings:
        """The settings of the teacher: its name, and how it is asked."""
        return self.settings.teacher

    def lend(self) -> Teacher:
        """The teacher for a run to ask. So a model is loaded once, and stays until `close`."""
        return self._open().teacher

    def caption(self, video: PathLike) -> Caption:
        """As `hardcut.caption`."""
        return background.run(self._open().caption(Path(video)))

    def judge(self, query: str, video: PathLike, caption: Caption | None = None) -> JudgedClip:
        """As `hardcut.judge`."""
        return background.run(self._open().judge(query, Path(video), caption))

    def close(self) -> None:
        """Ends the processes of the teacher. The next question starts them again."""
        clips, self._clips = self._clips, None
        if clips is not None:
            self._closing.detach()
            background.run(clips.close())

    def __repr__(self) -> str:
        return f"<teacher {self.teacher.spec}>"

    def _open(self) -> SingleClips:
        if self._clips is None:
            self._clips = SingleClips(self.settings, self.cache)
            self._closing = background.close_with(self, self._clips.close)
        return self._clips


def open_teacher(
    spec: str = "evidence",
    *,
    settings: Settings | PathLike | None = None,
    cache: PathLike | None = None,
    **overrides: Any,
) -> OpenTeacher:
    """Opens a teacher by its name: `evidence`, `openai:MODEL@URL`, `vllm:MODEL`, `transformers:MODEL`.

    `settings` is a record or a TOML file, and `overrides` change single settings by their dotted names, as in a run.
    Raises UsageError for a wrong name or setting.

    Examples:
        >>> import hardcut
        >>> hardcut.open_teacher("evidence")
        <teacher evidence>
    """
    found = load_settings(_source(settings), {"teacher.spec": spec, **overrides})
    from hardcut.teacher.registry import open_teacher as open_backend

    open_backend(found.teacher, found.resources)  # a wrong name is told here, not at the first question
    return OpenTeacher(found, cache_folder(Path(cache) if cache is not None else None))


def teacher_from(
    function: Function,
    *,
    name: str,
    revision: str | None = None,
    concurrency: int = 1,
    settings: Settings | PathLike | None = None,
    cache: PathLike | None = None,
    **overrides: Any,
) -> OpenTeacher:
    """Makes a teacher of a Python function, plain or async: for tests, and for your own models.

    The function gets a `FunctionRequest`. For the task `judge` it returns True, False, a margin or an `Answer`; for
    every other task it returns what fits `request.reply`. An exception fails only that request.

    Replies are kept under `name` and `revision`. Change one of them when the function would answer differently;
    otherwise the old replies are found. At most `concurrency` calls run at a time. A plain function runs in a thread.

    Examples:
        >>> import hardcut
        >>> hardcut.teacher_from(lambda asked: "red" in asked.request.inputs["query"], name="sees-red")
        <teacher function:sees-red>
    """
    register(name, function, concurrency)
    return open_teacher(
        f"function:{name}", settings=settings, cache=cache, **{"teacher.revision": revision, **overrides}
    )


def _source(settings: Settings | PathLike | None) -> Settings | Path | None:
    return settings if settings is None or isinstance(settings, Settings) else Path(settings)
