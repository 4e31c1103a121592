"""The `hardcut` command. Every subcommand lives in a file of its own and is imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.batch import batch
from hardcut.cli.datasets import datasets
from hardcut.cli.ending import INTERRUPTED, interrupted, one_line_endings
from hardcut.cli.models import models
from hardcut.cli.options import Cache, Config, Json, TeacherSpec, Videos
from hardcut.cli.review import review
from hardcut.cli.synth import synth
from hardcut.schemas.errors import UsageError

app = typer.Typer(
    name="hardcut",
    help="Turns a folder of videos into a training set for video rerankers.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(review, name="review")
app.add_typer(batch, name="batch")
app.add_typer(synth, name="synth")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from hardcut import __version__

        print(f"hardcut {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where the run and the dataset go.")] = Path("runs/demo"),
    teacher: TeacherSpec = None,
    train: Annotated[bool, typer.Option("--train", help="Train a tiny reranker on it and measure that too.")] = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Run the whole chain on the bundled sample and measure it."""
    from hardcut.cli.demo import demo as run_demo

    raise typer.Exit(run_demo(out, teacher=teacher, cache=cache, train=train, as_json=json))


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The settings file to write.")] = Path("hardcut.toml"),
    preset: Annotated[str | None, typer.Option(help="small-try | one-gpu | many-machines | rankvideo")] = None,
) -> None:
    """Write a settings file with every key, its default and what it means, or a preset."""
    from hardcut.cli.init import write_settings

    write_settings(path, preset)
    print(f"wrote {path}: edit it, then `hardcut run VIDEOS --out RUN --config {path}`")


@app.command()
def doctor(config: Config = None, teacher: TeacherSpec = None, cache: Cache = None, json: Json = False) -> None:
    """Say what is installed, reachable and writable, and what to do about the rest."""
    from hardcut.cli.doctor import doctor as run_doctor

    raise typer.Exit(run_doctor(config, teacher, cache, as_json=json))


@app.command()
def run(
    videos: Videos,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder; the same again goes on with it.")],
    config: Config = None,
    teacher: TeacherSpec = None,
    manifest: Annotated[Path | None, typer.Option(help="A .csv or .jsonl with path, video_id and metadata.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Your own queries: .tsv, .csv or .jsonl.")] = None,
    first_stage: Annotated[
        Path | None, typer.Option(help="Your first stage, a TREC run or a folder of vectors; default: BM25.")
    ] = None,
    judgments: Annotated[Path | None, typer.Option(help="Your judgments: TREC qrels or an import's .jsonl.")] = None,
    triplets: Annotated[bool, typer.Option("--triplets", help="Make triplets of texts of every nuance.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A host that a list of addresses may name; repeatable.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N videos.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="Only this part of the videos, such as 3/16; then `hardcut merge`.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Use all nodes of a Ray cluster: its address, or auto for this machine's.")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=0, help="Teacher calls at most, over all starts.")] = None,
    strict_media: Annotated[bool, typer.Option("--strict-media", help="Damaged videos fail.")] = False,
    max_duration: Annotated[float | None, typer.Option(help="Leave out longer videos (seconds).")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Leave out videos of larger pictures (pixels).")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try what failed again.")] = False,
    renew: Annotated[str | None, typer.Option(help="Make anew what earlier versions of this stage made.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Figures for programs, a line of JSON every 5 seconds; added at the end.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The same for Prometheus, on this port of 127.0.0.1.")
    ] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Turn a folder of videos into records: evidence, captions, queries, pairs, labels, judgments."""
    from hardcut.cli.run import run as run_job
    from hardcut.pipeline.cache import cache_folder
    from hardcut.pipeline.carry_out import Job
    from hardcut.pipeline.merge import Shard
    from hardcut.schemas.config import load_settings
    from hardcut.schemas.triplets import NUANCES

    part = Shard.parse(shard) if shard else None
    overrides = {
        "teacher.spec": teacher,
        "triplets.nuances": NUANCES if triplets else None,
        "budget.calls": budget,
        "resources.ray": ray,
        "media.strict": strict_media or None,
        "media.max_duration_s": max_duration,
        "media.max_source_pixels": max_pixels,
        "inputs.queries": str(queries) if queries else None,
        "inputs.first_stage": str(first_stage) if first_stage else None,
        "inputs.judgments": str(judgments) if judgments else None,
        "inputs.manifest": str(manifest) if manifest else None,
        "sources.allow_hosts": allow_host or None,
        "resources.metrics_file": str(metrics) if metrics else None,
        "resources.metrics_port": metrics_port,
    }
    settings = load_settings(config, overrides)
    job = Job(videos, out, settings, cache_folder(cache), limit, until, retry_failed, renew=renew, shard=part)
    raise typer.Exit(run_job(job, as_json=json))


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(help="The folder of the new run.")],
    runs: Annotated[list[Path], typer.Argument(help="The folders of the runs over parts of the videos.")],
    json: Json = False,
) -> None:
    """Make one run of runs over parts of the videos; `hardcut run` over all of them goes on with it."""
    from hardcut.cli.merge import merge as merge_runs

    raise typer.Exit(merge_runs(out, runs, as_json=json))


@app.command()
def status(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    failed: Annotated[bool, typer.Option("--failed", help="List every failed item with its raw reply.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every 2 seconds, until the run ends.")] = False,
    json: Json = False,
) -> None:
    """Say what is done, dropped, failed and spent; the sums agree."""
    from hardcut.cli.status import status as print_status
    from hardcut.cli.status import watch as watch_status

    if watch and (failed or json):
        raise UsageError("--watch shows the table: leave out --failed and --json, or ask for them without --watch")
    if watch:
        raise typer.Exit(watch_status(run))
    raise typer.Exit(print_status(run, list_failed=failed, as_json=json))


@app.command()
def plan(
    videos: Videos,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run that it is for; what is there is counted.")],
    config: Config = None,
    teacher: TeacherSpec = None,
    queries: Annotated[Path | None, typer.Option(help="Your own queries: .tsv, .csv or .jsonl.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="With so many processes that decode and read.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="With so many calls under way.")] = None,
    tokens_s: Annotated[
        float | None, typer.Option("--tokens-s", min=0.001, help="With teachers that write so many tokens a second.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=5, help="Run so many videos first, up to counterfactuals, and plan by them.")
    ] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Say what a run would ask its teachers, and what the rest takes: money, time, disk, memory. Sends nothing, unless
    a sample is asked for, which is paid and part of the run."""
    from hardcut.cli.plan import plan as print_plan

    overrides = {
        "teacher.spec": teacher,
        "inputs.queries": str(queries) if queries else None,
        "resources.workers": workers,
        "resources.concurrency": concurrency,
    }
    raise typer.Exit(print_plan(videos, out, config, overrides, cache, tokens_s, sample, as_json=json))


@app.command()
def calibrate(
    run: Annotated[Path, typer.Argument(help="A run's folder with judgments by people.")],
    blind: Annotated[bool, typer.Option("--blind", help="Only what was judged without a teacher's verdict.")] = False,
    json: Json = False,
) -> None:
    """Fit margins to what people said: temperature and isotonic, with figures before and after."""
    from hardcut.cli.calibrate import calibrate as run_calibration

    raise typer.Exit(run_calibration(run, blind=blind, as_json=json))


@app.command()
def thresholds(
    run: Annotated[Path, typer.Argument(help="A run's folder with judged pairs.")],
    target: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Share of false negatives allowed.")] = 0.01,
    json: Json = False,
) -> None:
    """Say where a1 and a2 should lie, out of the run's own margins, and plot them."""
    from hardcut.cli.thresholds import thresholds as choose_thresholds

    raise typer.Exit(choose_thresholds(run, target, as_json=json))


prompt = typer.Typer(help="What teachers are sent.", no_args_is_help=True)
app.add_typer(prompt, name="prompt")


@prompt.command()
def show(
    name: Annotated[str, typer.Argument(help="caption | queries | judge | …")],
    run: Annotated[Path, typer.Option("--run", help="The run that asks.")],
    video: Annotated[
        str | None, typer.Option("--video", help="A video's id; not for `decompose`, which is asked without one.")
    ] = None,
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Print exactly what would be sent about a video."""
    from hardcut.cli.prompt import show as show_prompt

    raise typer.Exit(show_prompt(name, video, run, config, cache, as_json=json))


@app.command()
def schema(
    record: Annotated[str | None, typer.Argument(help="One record, such as Query; default: all.")] = None,
) -> None:
    """Print the JSON Schema of each record."""
    from hardcut.cli.schema import print_schema

    print_schema(record)


app.add_typer(datasets)
app.add_typer(models)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script: runs one command and exits with a status of the table in docs/cli.md."""
    with one_line_endings():
        status_code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it is told like any other
    if status_code == INTERRUPTED:  # typer makes this number of a KeyboardInterrupt
        interrupted()
    sys.exit(status_code if isinstance(status_code, int) else 0)


if __name__ == "__main__":
    main()
