"""Checks what is installed, reachable and writable, and says what to do about the rest."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from hardcut.annotate.embedded.environment import made
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.libraries import broken, decode_sample, libraries, needed_extras, pythons, unfit
from hardcut.schemas.dependencies import pip_install
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import Role, TeacherSettings

_EXTRAS = (
    *("ocr", "vision", "eval", "publish", "annotate", "train", "transformers", "vllm", "asr", "sounds"),
    *("languages", "ocr-scripts", "paddle", "decord", "ray"),
)
_GB = 1024**3
_FIRST_SCRIPTS = ("Latin", "Chinese", "Japanese")
"""What the models in RapidOCR's wheel read."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `advice` says what to do where it is not ok; with `missing` and `broken` a run with
    these settings cannot start."""

    name: str
    state: Literal["ok", "missing", "broken", "warning"]
    found: str
    advice: str = ""


def checks(settings: Settings, cache: Cache) -> Iterator[Check]:
    """Does every check, one after another. A check of a teacher takes as long as its server takes to answer."""
    yield _python()
    needed = needed_extras(settings) | ({"ray"} if settings.resources.ray else set())
    with ThreadPoolExecutor() as beside:  # each of these waits for a process that imports
        tried = beside.map(
            lambda look: look(),
            [
                _core,
                partial(_decoder, settings.media.reader),
                *(partial(_extra, extra, needed=extra in needed) for extra in _EXTRAS),
            ],
        )
        yield from tried
    yield _scripts(settings)
    yield _writable(cache.root)
    yield _reviewers(cache.argilla)
    for teacher in settings.asked:
        yield _teacher(teacher, settings, cache.profiles)


def _python() -> Check:
    found = sys.version.split()[0]
    if ".".join(map(str, sys.version_info[:2])) in pythons():
        return Check("python", "ok", found)
    return Check("python", "warning", f"{found}, with which Hardcut was not tried", f"use {', '.join(pythons())}")


def _core() -> Check:
    return _libraries("libraries", None, needed=True)


def _decoder(reader: str) -> Check:
    """Decodes a clip of the sample, since a library that can be imported may still fail at its work."""
    [av] = (library for library in libraries(None) if library.name == "av")
    found = f"PyAV {av.version}"
    if problem := decode_sample(reader):
        return Check("decoder", "broken", f"{found}: {problem}", f'pip install --force-reinstall "av{av.accepted}"')
    return Check("decoder", "ok", f"{found}, decodes a clip of the sample")


def _extra(extra: str, *, needed: bool) -> Check:
    return _libraries(f"extra {extra}", extra, needed=needed)


def _libraries(name: str, extra: str | None, *, needed: bool) -> Check:
    """Whether all libraries of an extra (None: those that Hardcut always needs) are there and can be imported."""
    wanted = libraries(extra)
    advice = pip_install(extra) if extra else "pip install hardcut"
    missing = [library.name for library in wanted if library.version is None]
    if missing:
        return Check(name, "missing" if needed else "warning", f"without {', '.join(missing)}", advice)
    found = ", ".join(f"{library.name} {library.version}" for library in wanted)
    if problem := broken(wanted):
        again = advice.replace("install", "install --force-reinstall", 1)
        return Check(name, "broken" if needed else "warning", f"broken: {problem}", again)
    if other := unfit(wanted):
        return Check(name, "warning", f"{found}: {other}", f"{advice} brings what was tried")
    return Check(name, "ok", found)


def _scripts(settings: Settings) -> Check:
    """Which scripts of text in the picture are read, and which are only told as unread."""
    from hardcut.synth.evidence.tesseract import data_of, scripts_of_data

    name, options = "text in pictures", settings.evidence
    if options.ocr == "off":
        return Check(name, "ok", "is not read: evidence.ocr is off")
    try:
        for language in options.ocr_languages:
            data_of(language, options.ocr_data)
    except UsageError as error:
        return Check(name, "missing", "a language of evidence.ocr_languages has no data", str(error))
    first = ["what the models of evidence.paddle_rec know"] if options.ocr == "paddle" else list(_FIRST_SCRIPTS)
    data = scripts_of_data(options)
    asked = {script: [each for each in have if each in options.ocr_languages] for script, have in data.items()}
    read = [*first, *(f"{script} ({', '.join(have)})" for script, have in asked.items() if have)]
    found = (
        f"reads {', '.join(read)}; told as unread: {', '.join(script for script, have in asked.items() if not have)}"
    )
    unused = sorted(each for script, have in data.items() if not asked[script] for each in have)
    more = f"; data here and not asked for: {', '.join(unused)} (evidence.ocr_languages)" if unused else ""
    return Check(name, "ok", found + more)


def _writable(cache: Path) -> Check:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache):
            free = shutil.disk_usage(cache).free
    except OSError as error:
        return Check("cache", "missing", f"{cache}: {error.strerror}", "give a folder with --cache")
    state: Literal["ok", "warning"] = "ok" if free > 5 * _GB else "warning"
    advice = "" if state == "ok" else "frames need about 20 KB each; give another folder with --cache"
    return Check("cache", state, f"{cache}, {free / _GB:.0f} GB free", advice)


def _reviewers(root: Path) -> Check:
    name = "reviewers' server"
    try:
        python = made(root)
    except MissingDependency as error:
        return Check(name, "warning", "cannot be made here", str(error))
    if python is None:
        return Check(name, "warning", "not made yet", "`hardcut review serve` makes it, once")
    return Check(name, "ok", str(python.parent.parent))


def _teacher(teacher: TeacherSettings, settings: Settings, profiles: Path) -> Check:
    """Whether it can be asked, and what a server can do. That is asked once, by one or two small questions."""
    import asyncio

    from hardcut.teacher.needs import needs_of
    from hardcut.teacher.registry import open_teacher

    async def reach() -> str:
        backend = open_teacher(
            teacher,
            settings.resources,
            main=settings.teacher,
            profiles=profiles,
            needs=needs_of(settings, teacher, get_args(Role)),
            without_margin=settings.scores.without_margin,
        )
        try:
            return await backend.ping()
        finally:
            await backend.close()

    try:
        return Check("teacher", "ok", asyncio.run(reach()))
    except HardcutError as error:
        return Check("teacher", "missing", teacher.spec, str(error))
