"""What a run is made with beside its settings: versions, prompts, the digests of given files. Noted when it works."""

from __future__ import annotations

import platform
from pathlib import Path

from pydantic import ValidationError

from hardcut import __version__
from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.pipeline.libraries import libraries, needed_extras
from hardcut.schemas.recipe import Environment, GivenFile, MadeWith, prompt_folders
from hardcut.schemas.settings import Settings
from hardcut.synth.candidates.dense import vectors_digest
from hardcut.teacher.prompts.render import prompt_sources


def note_made_with(run: Path, settings: Settings) -> None:
    """Writes the run's `made_with.json`: the present versions after those of earlier starts, the prompts and files as
    they are now. To be called before a start that has work to do. Two starts with the same write the same bytes."""
    here = environment(settings)
    before = [each for each in _environments(run / MadeWith.FILE) if each != here]
    made = MadeWith(environments=(*before, here), inputs=_inputs(settings), prompts=prompts_in_force(settings))
    with atomic_writer(run / MadeWith.FILE) as file:
        file.write(made.model_dump_json(indent=2) + "\n")


def environment(settings: Settings) -> Environment:
    """The versions here: of Hardcut, of Python, and of the libraries that a run with these settings needs."""
    found = {
        each.name: each.version
        for extra in (None, *sorted(needed_extras(settings)))
        for each in libraries(extra)
        if each.version is not None
    }
    return Environment(hardcut=__version__, python=platform.python_version(), libraries=dict(sorted(found.items())))


def prompts_in_force(settings: Settings) -> dict[str, dict[str, str]]:
    """The texts of the prompts that teachers are asked with, by folder and name. The teacher `evidence` has none."""
    folders = prompt_folders(settings)
    used = sorted({teacher.prompts or "" for teacher in settings.asked if teacher.spec != "evidence"})
    return {
        folders[path or None]: dict(sorted(prompt_sources(Path(path).expanduser() if path else None).items()))
        for path in used
    }


def _inputs(settings: Settings) -> dict[str, GivenFile]:
    given = {name: Path(path) for name, path in settings.inputs.model_dump().items() if path}
    return {
        name: GivenFile(name=path.name, sha256=vectors_digest(path) if path.is_dir() else sha256_of(path))
        for name, path in given.items()
    }


def _environments(path: Path) -> tuple[Environment, ...]:
    """What earlier starts noted; nothing where it was altered."""
    try:
        return MadeWith.model_validate_json(path.read_text("utf-8")).environments
    except (FileNotFoundError, ValidationError, UnicodeDecodeError):
        return ()
