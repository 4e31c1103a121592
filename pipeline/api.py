"""Functions of `import hardcut`: runs, and single clips."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from hardcut.engine.background import background
from hardcut.engine.progress import Progress
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.open_run import Run
from hardcut.pipeline.open_teacher import OpenTeacher, open_teacher
from hardcut.pipeline.progress import open_progress
from hardcut.pipeline.single_clip import JudgedClip
from hardcut.schemas.config import load_settings
from hardcut.schemas.records import Caption
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings

PathLike = str | Path
P = ParamSpec("P")
T = TypeVar("T")


def run(
    videos: PathLike,
    out: PathLike,
    *,
    teacher: str | OpenTeacher | None = None,
    judges: Sequence[str | OpenTeacher] = (),
    queries: PathLike | None = None,
    first_stage: PathLike | None = None,
    judgments: PathLike | None = None,
    manifest: PathLike | None = None,
    limit: int | None = None,
    until: str | None = None,
    retry_failed: bool = False,
    renew: str | None = None,
    settings: Settings | PathLike | None = None,
    cache: PathLike | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Run:
    """Turns a folder of videos into records, as `hardcut run` does. Goes on with a run that was begun before.

    `videos` may name tars, an address in an object store, a dataset or a list of addresses too, as on the command line.
    `out` is the run's folder. `teacher` writes captions and queries, and judges unless you give `judges`. Each is a
    name such as `openai:MODEL@URL`, or an opened teacher, which stays open so that its model is loaded once. `queries`,
    `first_stage`, `judgments` and `manifest` are your own files. `limit` takes the first videos by id, `until` stops
    after a stage, `retry_failed` tries failed items again, `renew` makes anew what earlier versions of a stage made.
    `settings` is a record or a TOML file; `overrides` change single settings by their dotted names
    (`**{"captions.max_words": 80}`). `cache` keeps frames and replies for later runs. `progress` gets the progress of
    the run (default: bars on a terminal or in a notebook).

    Works in a script, in a notebook and inside a running event loop. It blocks the caller; `arun` does not. Ctrl-C ends
    the run, and the same call goes on with it. `status()` lists what failed.

    Raises UsageError for what the caller can correct, MissingDependency, StorageError, and BudgetReached when the
    budget is spent. Then the report is written, and the same call with a higher budget goes on.

    Examples:
        >>> import hardcut
        >>> run = hardcut.run("videos/", "runs/first")  # doctest: +SKIP
        >>> run.status().finished  # doctest: +SKIP
        True
    """
    return background.run(_run(locals()))


def _takes_what(function: Callable[P, T]) -> Callable[[Callable[..., Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Gives a coroutine function the parameters of another function."""

    def give(same: Callable[..., Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        same.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return same

    return give


@_takes_what(run)
async def arun(*args: Any, **kwargs: Any) -> Run:
    """As `run`, for async code: it does not block the event loop. Cancelling it ends the run.

    Examples:
        >>> run = await hardcut.arun("videos/", "runs/first")  # doctest: +SKIP
    """
    given = inspect.signature(run).bind(*args, **kwargs)
    given.apply_defaults()
    return await background.arun(_run(given.arguments))


async def _run(given: Mapping[str, Any]) -> Run:
    """Carries out what the arguments of `run` say."""
    source, teacher, cache = given["settings"], given["teacher"], given["cache"]
    settings = load_settings(Path(source) if isinstance(source, str | Path) else source, _overrides(given))
    if teacher is not None:
        settings = settings.model_copy(update={"teacher": _named(teacher, settings)})
    if given["judges"]:
        judges = tuple(_named(judge, settings) for judge in given["judges"])
        settings = settings.model_copy(update={"scores": settings.scores.model_copy(update={"teachers": judges})})
    where = cache_folder(Path(cache) if cache is not None else None)
    job = Job(
        given["videos"], Path(given["out"]), Settings.model_validate(settings.model_dump()), where,
        given["limit"], given["until"], given["retry_failed"],
        {each.teacher: each.lend() for each in (teacher, *given["judges"]) if isinstance(each, OpenTeacher)},
        given["renew"],
    )  # fmt: skip
    if given["progress"] is not None:
        await carry_out(job, given["progress"])
    else:
        with open_progress() as bars:
            await carry_out(job, bars)
    return Run(job.out, job.cache)


def _overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    files = ("queries", "first_stage", "judgments", "manifest")
    inputs = {f"inputs.{name}": str(given[name]) for name in files if given[name] is not None}
    return {**inputs, **given["overrides"]}


def _named(teacher: str | OpenTeacher, settings: Settings) -> TeacherSettings:
    """The settings of a teacher: those of an opened one, or the run's with another name."""
    if isinstance(teacher, OpenTeacher):
        return teacher.teacher
    return settings.teacher.model_copy(update={"spec": teacher})


def caption(video: PathLike, teacher: str | OpenTeacher = "evidence") -> Caption:
    """A caption of one video whose claims were checked. Looks for evidence first, as a run does.

    For several videos open the teacher once (`open_teacher`). Raises UsageError for a file that is no video, ItemError
    where no picture decodes or the teacher gives no usable reply.

    Examples:
        >>> hardcut.caption("clip.mp4").text  # doctest: +SKIP
    """
    if isinstance(teacher, OpenTeacher):
        return teacher.caption(video)
    with open_teacher(teacher) as opened:
        return opened.caption(video)


def judge(
    query: str, video: PathLike, teacher: str | OpenTeacher = "evidence", *, caption: Caption | None = None
) -> JudgedClip:
    """Whether one video answers a query, with the teacher's margin. The teacher is shown frames and evidence, and the
    caption if you give one. Raises as `caption`.

    Examples:
        >>> hardcut.judge("the lid closes before the light goes out", "clip.mp4").margin  # doctest: +SKIP
    """
    if isinstance(teacher, OpenTeacher):
        return teacher.judge(query, video, caption)
    with open_teacher(teacher) as opened:
        return opened.judge(query, video, caption)
