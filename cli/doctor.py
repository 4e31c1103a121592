"""`hardcut doctor`: what is installed, reachable and writable, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from hardcut.cli.paths import cache_folder
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import HardcutError
from hardcut.schemas.settings import Settings

_EXTRAS = {
    "ocr": ("rapidocr", "onnxruntime"),
    "vision": ("scenedetect-headless", "opencv-python-headless"),
    "eval": ("ir_measures", "bm25s"),
}
_GB = 1024**3


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `advice` says what to do where it is not ok."""

    name: str
    state: Literal["ok", "missing", "warning"]
    found: str
    advice: str = ""


def doctor(config: Path | None, teacher: str | None, cache: Path | None, *, as_json: bool) -> int:
    """Prints every check; 0 where a run with these settings can start, 4 where something that it needs is missing."""
    settings = load_settings(config, {"teacher.spec": teacher})
    checks = list(_checks(settings, cache_folder(cache).root))
    if as_json:
        print(json.dumps({"checks": [asdict(check) for check in checks]}, indent=2, ensure_ascii=False))
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("", "check", "found", "what to do"):
            table.add_column(column, overflow="fold")
        marks = {"ok": "[green]ok[/]", "warning": "[yellow]![/]", "missing": "[red]no[/]"}
        for check in checks:
            table.add_row(marks[check.state], check.name, check.found, check.advice)
        Console().print(table)
    return 4 if any(check.state == "missing" for check in checks) else 0


def _checks(settings: Settings, cache: Path) -> Iterator[Check]:
    yield Check("python", "ok", sys.version.split()[0])
    yield _decoder()
    needed = {"ocr"} if settings.evidence.ocr == "rapidocr" else set()
    needed |= {"vision"} if settings.evidence.shots else set()
    needed |= {"eval"} if settings.inputs.first_stage is None else set()
    for extra, packages in _EXTRAS.items():
        yield _extra(extra, packages, needed=extra in needed)
    yield _writable(cache)
    yield _teacher(settings)


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


def _teacher(settings: Settings) -> Check:
    import asyncio

    from hardcut.teacher.registry import open_teacher

    async def reach() -> str:
        backend = open_teacher(settings.teacher, settings.resources)
        try:
            return await backend.ping()
        finally:
            await backend.close()

    try:
        return Check("teacher", "ok", asyncio.run(reach()))
    except HardcutError as error:
        key = "set" if os.environ.get("HARDCUT_API_KEY") or os.environ.get("OPENAI_API_KEY") else "not set"
        return Check("teacher", "missing", settings.teacher.spec, f"{error} (an API key is {key})")
