"""`hardcut init`: a settings file with every key, its default and what it means, or one of the presets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel

from hardcut.data.bundled import preset
from hardcut.engine.files import atomic_writer
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings


def write_settings(path: Path, name: str | None) -> None:
    """Writes the preset of that name, or the template. Raises UsageError where there is no such preset or the file
    exists, which is not overwritten, and StorageError where it cannot be written."""
    text = preset(name) if name else template()
    if path.exists():
        raise UsageError(f"{path} exists; give another name: `hardcut init NAME.toml`")
    with atomic_writer(path) as file:
        file.write(text)


def template() -> str:
    """The default settings as commented TOML; keys without a default value stand commented out."""
    return "# Settings of a Hardcut run. Every key stands at its default.\n" + "\n".join(_group("", Settings()))


def _group(name: str, group: BaseModel) -> Iterator[str]:
    if name:
        doc = (type(group).__doc__ or "").strip().splitlines()[0]
        yield from ("", f"# {doc}", f"[{name}]")
    groups: list[tuple[str, BaseModel]] = []
    for key, field in type(group).model_fields.items():
        value: Any = getattr(group, key)
        if isinstance(value, BaseModel):
            groups.append((f"{name}.{key}" if name else key, value))
            continue
        note = f"  # {field.description}" if field.description else ""
        if value is None:
            yield f"# {key} ={note}"
        else:
            plain = list(value) if isinstance(value, tuple) else value
            line = " ".join(part.strip() for part in tomli_w.dumps({key: plain}).splitlines())
            yield line.replace(", ]", "]").replace("[ ", "[") + note
    for child_name, child in groups:
        yield from _group(child_name, child)
