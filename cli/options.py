"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Where frames and replies are kept for later runs.")]
Videos = Annotated[
    str,
    typer.Argument(help="Folder, TARS, s3:// or gs:// or hf:// address, dataset:NAME, or list of addresses (.txt)."),
]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings as TOML; `hardcut init` writes one.")]
TeacherSpec = Annotated[
    str | None, typer.Option("--teacher", help="evidence | openai:MODEL@URL | vllm:MODEL | transformers:MODEL")
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", help="Let a finding of the gate be: 'CHECK: ITEM because REASON'; may be repeated."),
]
Vectors = Annotated[
    Path | None, typer.Option("--vectors", help="Vectors of the queries (`hardcut embed`): leaks by meaning.")
]
