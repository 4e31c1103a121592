"""The commands about datasets: out of a run, looked at, compared, reduced, published, fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.options import Allow, Cache, Json, Vectors

datasets = typer.Typer()


@datasets.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder; for other formats also a dataset's.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset's folder.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings; default: the run's own.")] = None,
    format: Annotated[
        str,
        typer.Option(
            help="hf | flag-embedding | llama-factory | ms-swift | mteb | rankvideo | sentence-transformers | tevatron"
            " | trec | triplets | trl | webdataset"
        ),
    ] = "hf",
    allow: Allow = None,
    with_media: Annotated[
        Path | None, typer.Option(help="The folder of the videos: pack the clips whose licence allows it.")
    ] = None,
    min_difficulty: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave out queries of a lower measured difficulty.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="The version before, a folder or ORG/NAME@TAG, whose splits are kept; default: what --out replaces.",
        ),
    ] = None,
    new_splits: Annotated[bool, typer.Option("--new-splits", help="Keep no splits of a version before.")] = False,
    videos: Annotated[
        Path | None, typer.Option(help="With --format: the folder of the videos; paths are absolute then.")
    ] = None,
    vectors: Vectors = None,
    json: Json = False,
) -> None:
    """Write a dataset with its card, checked by the gate."""
    from hardcut.cli.export import export as run_export
    from hardcut.pipeline.run_export import Choices

    choices = Choices(config, tuple(allow or ()), with_media, min_difficulty, like, new_splits, videos, vectors)
    raise typer.Exit(run_export(run, out, choices, format, as_json=json))


@datasets.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Limits; default: the dataset's own.")] = None,
    allow: Allow = None,
    vectors: Vectors = None,
    json: Json = False,
) -> None:
    """Say whether a dataset may be published: leakage, shortcuts, licences, personal data and more."""
    from hardcut.cli.gate import check as run_check

    raise typer.Exit(run_check(dataset, config, tuple(allow or ()), vectors, as_json=json))


@datasets.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The dataset of the version before.")],
    new: Annotated[Path, typer.Argument(help="The dataset of the version after.")],
    html: Annotated[Path | None, typer.Option(help="Write a page too.")] = None,
    json: Json = False,
) -> None:
    """Say what changed between two versions of a dataset: rows added, gone, with another label, in another split."""
    from hardcut.cli.diff import diff as run_diff

    raise typer.Exit(run_diff(old, new, html, as_json=json))


@datasets.command()
def reproduce(
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder.")],
    videos: Annotated[Path, typer.Argument(help="The folder of its videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run: a new folder, or one that has begun.")],
    server: Annotated[
        list[str] | None, typer.Option(metavar="[MODEL=]URL", help="Where a teacher is served; may be repeated.")
    ] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Set the run of a dataset up again and say what differs here; where it has begun, compare it."""
    from hardcut.cli.reproduce import reproduce as run_reproduce

    raise typer.Exit(run_reproduce(dataset, videos, out, server or (), cache, as_json=json))


@datasets.command()
def forget(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO...", help="Ids of videos, as videos.jsonl has them.")],
    dataset: Annotated[Path | None, typer.Option(help="A dataset's folder, to take them out of too.")] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Take videos, with all that was made of them, out of a run, its cache and a dataset."""
    from hardcut.cli.forget import forget as run_forget

    raise typer.Exit(run_forget(run, videos, dataset, cache, as_json=json))


@datasets.command()
def gc(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    replies: Annotated[
        bool, typer.Option("--replies", help="Free its paid replies too that nothing asks for any more.")
    ] = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Free what results of settings and inputs that are no more take of a run's folder; tell of their replies."""
    from hardcut.cli.gc import gc as run_gc

    raise typer.Exit(run_gc(run, cache, replies=replies, as_json=json))


@datasets.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="A dataset's folder, or with --model a trained model's.")],
    repo_id: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Its name on the Hub.")],
    model: Annotated[bool, typer.Option("--model", help="The folder is one that `hardcut train` wrote.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Create it public; default: private.")] = False,
    tag: Annotated[
        str | None, typer.Option(help="The version's tag; default: the card's, of a model v1, v2, ...")
    ] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over a repository that Hardcut did not make.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change there, and send nothing.")] = False,
    json: Json = False,
) -> None:
    """Upload a dataset or a model to the Hugging Face Hub: what changed, in one commit, tagged."""
    from hardcut.cli.hub import publish as run_publish
    from hardcut.cli.hub import publish_model
    from hardcut.publish.hub import Choices

    choices = Choices(public, tag, adopt, dry_run)
    if model:
        raise typer.Exit(publish_model(folder, repo_id, choices, as_json=json))
    raise typer.Exit(run_publish(folder, repo_id, choices, as_json=json))


@datasets.command()
def pull(
    repo_id: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Its name on the Hub.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to put it in.")],
    revision: Annotated[str | None, typer.Option(help="A tag or commit; default: the newest.")] = None,
    json: Json = False,
) -> None:
    """Fetch a dataset from the Hub and verify every digest."""
    from hardcut.cli.hub import pull as run_pull

    raise typer.Exit(run_pull(repo_id, out, revision, as_json=json))


@datasets.command("import")
def import_(
    format: Annotated[
        str,
        typer.Argument(
            help="activitynet | charades-sta | cia | didemo | lsmdc | momentseeker | msrvtt | msvd | mteb | multivent"
            " | negbench | qvhighlights | rankvideo | rtime | trec | tvr | vatex | webvid-covr | youcook2"
        ),
    ],
    files: Annotated[list[Path], typer.Argument(help="The files of that format.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder for what `hardcut run` takes.")],
    videos: Annotated[Path | None, typer.Option(help="The folder of the videos, to look them up by id.")] = None,
    json: Json = False,
) -> None:
    """Read files of others as queries, judgments and a first stage for `hardcut run`."""
    from hardcut.cli.imports import import_files

    raise typer.Exit(import_files(format, files, out, videos, as_json=json))
