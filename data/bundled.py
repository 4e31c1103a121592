"""What comes with the package: the sample, and presets of settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from hardcut.schemas.errors import UsageError
from hardcut.schemas.names import suggestion


@contextmanager
def sample_files() -> Iterator[Path]:
    """The sample as a real folder while the context is open: `videos/` and the files beside it (see its README)."""
    with as_file(files("hardcut.data") / "sample") as folder:
        yield folder


def preset_names() -> list[str]:
    """The presets of settings that `hardcut init --preset` writes."""
    return sorted(path.name.removesuffix(".toml") for path in (files("hardcut.data") / "presets").iterdir())


def preset(name: str) -> str:
    """The text of a preset: TOML with comments. Raises UsageError for a name that there is not."""
    names = preset_names()
    if name not in names:
        raise UsageError(f"--preset {name!r}: there is no such preset; {suggestion(name, names)}")
    return (files("hardcut.data") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
