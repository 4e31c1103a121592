"""`hardcut review`: the review loop's subcommands. Each is imported only when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

review = typer.Typer(help="People judge what the teachers cannot settle, in Argilla.", no_args_is_help=True)

Run = Annotated[Path, typer.Argument(help="A run's folder.")]
Data = Annotated[Path | None, typer.Option("--data", help="Where the server keeps its data; default: RUN/argilla.")]


@review.command()
def serve(
    run: Run,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = 6900,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; others than this need care.")] = (
        "127.0.0.1"
    ),
    data: Data = None,
    reviewers: Annotated[str | None, typer.Option("--reviewers", help="Their names: alice,bob.")] = None,
    new_password: Annotated[
        str | None, typer.Option("--new-password", help="Names of users who lost theirs: alice.")
    ] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Where the server's environment is kept.")] = None,
) -> None:
    """Bring up an Argilla for this run's reviewers; Ctrl-C stops it."""
    from hardcut.annotate.embedded.server import Order
    from hardcut.cli.review_serve import serve as run_server

    order = Order(host, port, reviewers=_names(reviewers), new_passwords=_names(new_password))
    raise typer.Exit(run_server(run, data, order, cache))


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))
