"""`hardcut review`: the review loop's subcommands. Each is imported only when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.options import Json

review = typer.Typer(help="People judge what the teachers cannot settle, in Argilla.", no_args_is_help=True)

Run = Annotated[Path, typer.Argument(help="A run's folder.")]
Data = Annotated[Path | None, typer.Option("--data", help="Where the server keeps its data; default: RUN/argilla.")]
Url = Annotated[
    str | None, typer.Option("--url", help="An Argilla elsewhere; its API key is read from ARGILLA_API_KEY.")
]
Workspace = Annotated[str | None, typer.Option("--workspace", help="Of that Argilla; default: hardcut.")]
Name = Annotated[str | None, typer.Option("--name", help="What the sets are called; default: the run's folder.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings; default: the run's own.")]
Budget = Annotated[int | None, typer.Option("--budget", min=1, help="Answers in all; default: review.budget.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Where frames and the server's environment are kept.")]


@review.command()
def plan(run: Run, config: Config = None, budget: Budget = None, json: Json = False) -> None:
    """Say what a budget of answers buys: which pairs are asked, and why. Sends nothing."""
    from hardcut.cli.review_plan import plan as print_plan

    raise typer.Exit(print_plan(run, config, budget, as_json=json))


@review.command()
def push(
    run: Run,
    videos: Annotated[Path, typer.Option("--videos", help="The folder of the videos that the run was made from.")],
    url: Url = None,
    media_url: Annotated[
        str | None, typer.Option("--media-url", help="With --url: where larger clips are, put there by you.")
    ] = None,
    clip_limit: Annotated[
        float, typer.Option("--clip-limit", min=0, help="With --url: MB of a clip that travels in its record.")
    ] = 2.0,
    data: Data = None,
    workspace: Workspace = None,
    name: Name = None,
    config: Config = None,
    budget: Budget = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Put the planned pairs before reviewers; the same again changes nothing."""
    from hardcut.cli.review_push import push as run_push
    from hardcut.pipeline.review import Media, ServerOptions

    where, media = ServerOptions(run, url, data, workspace, name), Media(videos, media_url, clip_limit)
    raise typer.Exit(run_push(where, media, config, budget, cache, as_json=json))


@review.command()
def pull(
    run: Run, url: Url = None, data: Data = None, workspace: Workspace = None, name: Name = None, json: Json = False
) -> None:
    """Bring the answers back into the run: its judgments follow them at once."""
    from hardcut.cli.review_pull import pull as run_pull
    from hardcut.pipeline.review import ServerOptions

    raise typer.Exit(run_pull(ServerOptions(run, url, data, workspace, name), as_json=json))


@review.command()
def report(run: Run, cache: Cache = None, json: Json = False) -> None:
    """Say how far people agree, how good each and the teachers are, and what is still open."""
    from hardcut.cli.review_report import report as print_report

    raise typer.Exit(print_report(run, cache, as_json=json))


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
