"""`hardcut batch`: a run's questions as batch files, and their answers into the cache of replies."""

from __future__ import annotations

import asyncio
import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.options import Cache, Config, Json

batch = typer.Typer(help="Asks teachers by files, for whoever can wait and pays half.", no_args_is_help=True)

Run = Annotated[Path, typer.Argument(help="A run's folder.")]


@batch.command()
def write(
    run: Run,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the files.")],
    stage: Annotated[str | None, typer.Option("--stage", help="Only what this stage asks.")] = None,
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Write what the run would ask now as OpenAI batch files. Sends nothing but two small questions to a new server."""
    from hardcut.cli.terminal import output, plain
    from hardcut.pipeline.batches import write_batch
    from hardcut.pipeline.cache import cache_folder

    found = asyncio.run(write_batch(run, config, cache_folder(cache), out, stage))
    if json:
        print(json_text.dumps({"files": [str(path) for path in found.files], "questions": found.questions}, indent=2))
        return
    for path in found.files:
        output().print(plain(str(path)))
    told = ", ".join(f"{name} {count:,}" for name, count in found.questions.items())
    output().print(
        f"{sum(found.questions.values()):,} questions ({told}): have them answered, then "
        f"`hardcut batch read {run} FILES`"
        if found.questions
        else "nothing is left to ask, as far as the run has come: go on with `hardcut run`"
    )


@batch.command()
def read(
    run: Run,
    files: Annotated[list[Path], typer.Argument(help="Output and error files of the batches.")],
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Take the answers into the cache of replies, where a run finds them."""
    from hardcut.cli.terminal import output, plain
    from hardcut.pipeline.batches import read_batch
    from hardcut.pipeline.cache import cache_folder

    found = asyncio.run(read_batch(run, config, cache_folder(cache), files))
    if json:
        print(json_text.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        output().print(
            f"{found.kept:,} replies kept, {found.known:,} were there, {found.foreign:,} answer nothing here"
        )
        for what, counts in (("cannot be used", found.refused), ("failed", found.failed)):
            for reason, count in sorted(counts.items()):
                output().print(plain(f"{count:,} {what}: {reason}"))
        output().print(f"go on with `hardcut run`, or with `hardcut batch write {run} --out DIR` for what comes next")
    raise typer.Exit(1 if found.refused or found.failed else 0)
