"""Reads settings from TOML and writes them. The error for an unknown key names the nearest right one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from hardcut.schemas.errors import UsageError
from hardcut.schemas.names import suggestion
from hardcut.schemas.settings import Settings


def load_settings(source: Path | Settings | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a TOML file or record (none: the defaults). `overrides` ("teacher.spec": value) replace single
    values.

    Raises UsageError naming the file, the key and, for an unknown one, the nearest that exists.
    """
    path = source if isinstance(source, Path) else None
    table: dict[str, Any] = source.model_dump() if isinstance(source, Settings) else {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(f"{path}: no such settings file") from error
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not TOML: {error}") from error
    for dotted, value in (overrides or {}).items():
        if value is not None:
            _put(table, dotted.split("."), value)
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"{path or 'settings'}: {_explain(error)}") from error


def format_settings(settings: Settings) -> str:
    """The settings as TOML, with every value. `None` is left out, since TOML has no null."""
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))


def _put(table: dict[str, Any], path: list[str], value: Any) -> None:
    for number, part in enumerate(path[:-1], 1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"{'.'.join(path)}: {'.'.join(path[:number])} is given as {table!r}, which has no parts")
    table[path[-1]] = value


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"]]
    key = ".".join(where)
    if first["type"] != "extra_forbidden":
        if key.endswith("key_variable"):  # it may be the key itself
            return f"{key}: give the name of an environment variable in capitals, such as HARDCUT_API_KEY"
        return f"{key}: {first['msg']}, got {first['input']!r}"
    return f"unknown key {key!r}; {suggestion(where[-1], _keys_beside(where), cutoff=0.5)}"


def _keys_beside(where: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in where[:-1]:
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
