"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Where frames and replies are kept for later runs.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings as TOML; `hardcut init` writes one.")]
TeacherSpec = Annotated[
    str | None, typer.Option("--teacher", help="evidence | openai:MODEL@URL | vllm:MODEL | transformers:MODEL")
]
Allow = Annotated[
    list[str] | None, typer.Option("--allow", help="Override a check of the gate by name; may be repeated.")
]
