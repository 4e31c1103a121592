"""How pages and cards are made: their templates, how values are escaped in each, and how a page is written.

A page is one file of HTML that needs neither network nor script. Nothing that comes from outside can act in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.files import atomic_writer
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.text.times import clock_time, duration_text
from hardcut.schemas.text.visible import replace_hidden

if TYPE_CHECKING:
    from jinja2 import Template

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#|~!$@:]|(?<=www)\.)")


def html_template(package: str, name: str) -> Template:
    """A template of a package, with every value escaped for HTML and hidden characters shown as U+FFFD.

    Filters: `clip(limit)`, `clock`, `duration`, `thousands`, `byname`, `filename`. `style()` is the common style sheet.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        if isinstance(value, str) and not isinstance(value, Markup):
            return replace_hidden(value, lambda character: "\ufffd")
        return value

    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters.update(
        clip=_clip,
        clock=clock_time,
        duration=duration_text,
        thousands=_thousands,
        byname=_by_count,
        filename=_file_name,
    )
    environment.globals["style"] = lambda: Markup(_style_sheet())
    return environment.get_template(name)


def markdown_template(package: str, name: str, **filters: Callable[..., object]) -> Template:
    """A template of a package, with every value escaped for Markdown save what the template itself calls `raw`.

    Filters: `raw`, `duration`, `thousands`, and `filters`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, ""),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        finalize=lambda value: value if isinstance(value, _Raw) else escape_markdown("" if value is None else value),
    )
    environment.filters.update(filters, raw=_Raw, duration=duration_text, thousands=_thousands)
    return environment.get_template(name)


def write_page(out: Path, text: str) -> None:
    """Writes a page; a reader never sees half of it. Raises StorageError where `out` cannot be written."""
    with atomic_writer(out) as file:
        file.write(text)


def escape_markdown(value: object) -> str:
    """A value as plain text in Markdown: one line, no markup, HTML or link, nothing invisible that turns text round."""
    line = " ".join(str(value).split())
    visible = "".join(char for char in line if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    escaped = _MARKDOWN.sub(r"\\\1", visible)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _Raw(str):
    """Our own words, that may carry markup."""

    __slots__ = ()


def _style_sheet() -> str:
    from importlib.resources import files

    return (files("hardcut.report") / "style.css").read_text("utf-8")


def _clip(text: str, limit: int) -> str:
    """At most `limit` characters, and how many were cut."""
    return text if len(text) <= limit else f"{text[:limit].rstrip()} … ({len(text) - limit:,} more characters)"


def _thousands(number: float | None) -> str:
    return "" if number is None else f"{number:,}"


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def _file_name(kind: str) -> str:
    """`queries` for `Query`: what people see of a kind of record is its file."""
    return next((record.FILE.removesuffix(".jsonl") for record in RECORDS if record.__name__ == kind), kind)
