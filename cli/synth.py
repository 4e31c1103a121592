"""`hardcut synth`: training texts without videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.options import Cache, Config, Json, TeacherSpec

synth = typer.Typer(help="Training texts out of texts, without videos.", no_args_is_help=True)


@synth.command()
def text(
    captions: Annotated[Path, typer.Argument(help="Captions (.txt, .jsonl, .csv, .tsv), or an NLI file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder; the same again goes on with it.")],
    config: Config = None,
    teacher: TeacherSpec = None,
    column: Annotated[str | None, typer.Option(help="The column of the captions; default: text or caption.")] = None,
    nuance: Annotated[
        list[str] | None, typer.Option(help="temporal | negation | composed | facet; may be repeated; default: all.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N texts.")] = None,
    budget: Annotated[int | None, typer.Option(min=0, help="Teacher calls at most, over all starts.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try what failed again.")] = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Make triplets of texts for an embedding model: anchor, positive, hard negative."""
    from hardcut.cli.synth_text import synth_text
    from hardcut.pipeline.cache import cache_folder
    from hardcut.pipeline.synth_text import TextJob
    from hardcut.schemas.config import load_settings

    overrides = {"teacher.spec": teacher, "budget.calls": budget, "triplets.nuances": tuple(nuance) if nuance else None}
    settings = load_settings(config, overrides)
    job = TextJob(captions, out, settings, cache_folder(cache), column, limit, retry_failed)
    raise typer.Exit(synth_text(job, as_json=json))
