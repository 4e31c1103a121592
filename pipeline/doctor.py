"""What is installed, reachable and writable, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hardcut.annotate.embedded.environment import made
from hardcut.pipeline.cache import Cache
from hardcut.schemas.errors import HardcutError, MissingDependency
from hardcut.schemas.settings import Settings, TeacherSettings

_EXTRAS = {
    "ocr": ("rapidocr", "onnxruntime"),
    "vision": ("scenedetect-headless", "opencv-python-headless", "imagehash"),
    "eval": ("ir_measures", "bm25s"),
    "publish": ("scikit-learn",),
    "annotate": ("argilla", "krippendorff"),
    "train": ("torch", "torchvision", "transformers", "accelerate", "peft", "sentence-transformers"),
    "asr": ("torch", "transformers"),
    "languages": ("py3langid",),
    "paddle": ("paddleocr", "paddlepaddle"),
    "decord": ("decord2",),
}
_GB = 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `advice` says what to do where it is not ok."""

    name: str
    state: Literal["ok", "missing", "warning"]
    found: str
    advice: str = ""


def checks(settings: Settings, cache: Cache) -> Iterator[Check]:
    """Every check, one after another: those of the teachers may take as long as a server takes to answer."""
    yield Check("python", "ok", sys.version.split()[0])
    yield _decoder()
    needed = _needed(settings)
    for extra, packages in _EXTRAS.items():
        yield _extra(extra, packages, needed=extra in needed)
    yield _writable(cache.root)
    yield _reviewers(cache.argilla)
    for teacher in dict.fromkeys((settings.teacher, *settings.judges)):
        yield _teacher(teacher, settings)


def _needed(settings: Settings) -> set[str]:
    """The extras without which a run with these settings stops."""
    evidence = settings.evidence
    wanted = {
        "eval": True,  # also with a first stage of the user's own: it need not list the queries that are written
        "ocr": evidence.ocr == "rapidocr",
        "paddle": evidence.ocr == "paddle",
        "vision": evidence.shots or evidence.motion or settings.duplicates.near,
        "asr": evidence.speech.startswith("whisper:"),
        "languages": bool(settings.queries.languages),
        "decord": settings.media.reader == "decord",
    }
    return {extra for extra, is_wanted in wanted.items() if is_wanted}


def _decoder() -> Check:
    import av

    version = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return Check("decoder", "ok", f"PyAV {importlib.metadata.version('av')}, libavcodec {version}")


def _extra(extra: str, packages: tuple[str, ...], *, needed: bool) -> Check:
    found = {name: _version(name) for name in packages}
    if all(found.values()):
        return Check(f"extra {extra}", "ok", ", ".join(f"{name} {version}" for name, version in found.items()))
    missing = ", ".join(name for name, version in found.items() if not version)
    advice = f'pip install "hardcut[{extra}]"'
    return Check(f"extra {extra}", "missing" if needed else "warning", f"without {missing}", advice)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


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


def _teacher(teacher: TeacherSettings, settings: Settings) -> Check:
    import asyncio

    from hardcut.teacher.registry import open_teacher

    async def reach() -> str:
        backend = open_teacher(teacher, settings.resources, main=settings.teacher)
        try:
            return await backend.ping()
        finally:
            await backend.close()

    try:
        return Check("teacher", "ok", asyncio.run(reach()))
    except HardcutError as error:
        return Check("teacher", "missing", teacher.spec, str(error))
