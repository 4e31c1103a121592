"""The `hardcut` command. Every subcommand lives in a file of its own and is imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.ending import INTERRUPTED, interrupted, one_line_endings
from hardcut.cli.review import review

app = typer.Typer(
    name="hardcut",
    help="Turns a folder of videos into a training set for video rerankers.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Where frames and replies are kept for later runs.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings as TOML; `hardcut init` writes one.")]
TeacherSpec = Annotated[
    str | None, typer.Option("--teacher", help="evidence | openai:MODEL@URL | vllm:MODEL | transformers:MODEL")
]

Allow = Annotated[
    list[str] | None, typer.Option("--allow", help="Override a check of the gate by name; may be repeated.")
]


app.add_typer(review, name="review")


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
    videos: Annotated[Path, typer.Argument(help="The folder of videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder; the same again goes on with it.")],
    config: Config = None,
    teacher: TeacherSpec = None,
    manifest: Annotated[Path | None, typer.Option(help="A .csv or .jsonl with path, video_id and metadata.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Your own queries: .tsv, .csv or .jsonl.")] = None,
    first_stage: Annotated[Path | None, typer.Option(help="Your first stage, a TREC run; default: BM25.")] = None,
    judgments: Annotated[Path | None, typer.Option(help="Your judgments: TREC qrels or an import's .jsonl.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N videos.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    budget: Annotated[int | None, typer.Option(min=0, help="Teacher calls at most, over all starts.")] = None,
    strict_media: Annotated[bool, typer.Option("--strict-media", help="Damaged videos fail.")] = False,
    max_duration: Annotated[float | None, typer.Option(help="Leave out longer videos (seconds).")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Leave out videos of larger pictures (pixels).")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try what failed again.")] = False,
    renew: Annotated[str | None, typer.Option(help="Make anew what earlier versions of this stage made.")] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Turn a folder of videos into records: evidence, captions, queries, pairs, labels, judgments."""
    from hardcut.cli.run import run as run_job
    from hardcut.pipeline.cache import cache_folder
    from hardcut.pipeline.carry_out import Job
    from hardcut.schemas.config import load_settings

    overrides = {
        "teacher.spec": teacher,
        "budget.calls": budget,
        "media.strict": strict_media or None,
        "media.max_duration_s": max_duration,
        "media.max_source_pixels": max_pixels,
        "inputs.queries": str(queries) if queries else None,
        "inputs.first_stage": str(first_stage) if first_stage else None,
        "inputs.judgments": str(judgments) if judgments else None,
        "inputs.manifest": str(manifest) if manifest else None,
    }
    job = Job(
        videos, out, load_settings(config, overrides), cache_folder(cache), limit, until, retry_failed, renew=renew
    )
    raise typer.Exit(run_job(job, as_json=json))


@app.command()
def status(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    failed: Annotated[bool, typer.Option("--failed", help="List every failed item with its raw reply.")] = False,
    json: Json = False,
) -> None:
    """Say what is done, dropped, failed and spent; the sums agree."""
    from hardcut.cli.status import status as print_status

    raise typer.Exit(print_status(run, list_failed=failed, as_json=json))


@app.command()
def plan(
    videos: Annotated[Path, typer.Argument(help="The folder of videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run that it is for; what is there is counted.")],
    config: Config = None,
    teacher: TeacherSpec = None,
    queries: Annotated[Path | None, typer.Option(help="Your own queries: .tsv, .csv or .jsonl.")] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Say what a run would ask its teachers, what the cache has, and what the rest costs. Sends nothing."""
    from hardcut.cli.plan import plan as print_plan

    overrides = {"teacher.spec": teacher, "inputs.queries": str(queries) if queries else None}
    raise typer.Exit(print_plan(videos, out, config, overrides, cache, as_json=json))


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
    name: Annotated[str, typer.Argument(help="caption | queries | judge")],
    video: Annotated[str, typer.Option("--video", help="A video's id.")],
    run: Annotated[Path, typer.Option("--run", help="The run that has it.")],
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Print exactly what would be sent about a video."""
    from hardcut.cli.prompt import show as show_prompt

    raise typer.Exit(show_prompt(name, video, run, config, cache, as_json=json))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder; for other formats also a dataset's.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset's folder.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings; default: the run's own.")] = None,
    format: Annotated[str, typer.Option(help="hf | rankvideo | sentence-transformers | tevatron | trec")] = "hf",
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
    json: Json = False,
) -> None:
    """Write a dataset with its card, checked by the gate."""
    from hardcut.cli.export import export as run_export
    from hardcut.pipeline.run_export import Choices

    choices = Choices(config, tuple(allow or ()), with_media, min_difficulty, like, new_splits)
    raise typer.Exit(run_export(run, out, choices, format, as_json=json))


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Limits; default: the dataset's own.")] = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Say whether a dataset may be published: leakage, shortcuts, licences, personal data and more."""
    from hardcut.cli.gate import check as run_check

    raise typer.Exit(run_check(dataset, config, tuple(allow or ()), as_json=json))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The dataset of the version before.")],
    new: Annotated[Path, typer.Argument(help="The dataset of the version after.")],
    html: Annotated[Path | None, typer.Option(help="Write a page too.")] = None,
    json: Json = False,
) -> None:
    """Say what changed between two versions of a dataset: rows added, gone, with another label, in another split."""
    from hardcut.cli.diff import diff as run_diff

    raise typer.Exit(run_diff(old, new, html, as_json=json))


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Upload a dataset or a model to the Hugging Face Hub: what changed, in one commit, tagged."""
    from hardcut.cli.hub import publish as run_publish
    from hardcut.cli.hub import publish_model
    from hardcut.publish.hub import Choices

    choices = Choices(public, tag, adopt, dry_run)
    if model:
        raise typer.Exit(publish_model(folder, repo_id, choices, as_json=json))
    raise typer.Exit(run_publish(folder, repo_id, tuple(allow or ()), choices, as_json=json))


@app.command()
def pull(
    repo_id: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Its name on the Hub.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to put it in.")],
    revision: Annotated[str | None, typer.Option(help="A tag or commit; default: the newest.")] = None,
    json: Json = False,
) -> None:
    """Fetch a dataset from the Hub and verify every digest."""
    from hardcut.cli.hub import pull as run_pull

    raise typer.Exit(run_pull(repo_id, out, revision, as_json=json))


@app.command("import")
def import_(
    format: Annotated[str, typer.Argument(help="msrvtt | multivent | qvhighlights | rankvideo | trec")],
    files: Annotated[list[Path], typer.Argument(help="The files of that format.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder for what `hardcut run` takes.")],
    videos: Annotated[Path | None, typer.Option(help="The folder of the videos, to look them up by id.")] = None,
    json: Json = False,
) -> None:
    """Read files of others as queries, judgments and a first stage for `hardcut run`."""
    from hardcut.cli.imports import import_files

    raise typer.Exit(import_files(format, files, out, videos, as_json=json))


@app.command()
def train(
    stage: Annotated[str, typer.Argument(help="perception (on captions), then ranking (on groups).")],
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder.")],
    videos: Annotated[Path, typer.Option("--videos", help="The folder of its videos.")],
    model: Annotated[str, typer.Option("--model", help="A Qwen3-VL model: a folder, or a name on the Hub.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The trained model; the same again goes on with it.")],
    start: Annotated[Path | None, typer.Option(help="ranking: the folder that perception wrote.")] = None,
    revision: Annotated[str | None, typer.Option(help="The model's tag or commit.")] = None,
    config: Config = None,
    merge: Annotated[bool, typer.Option("--merge", help="Write whole weights, as vLLM wants, not an adapter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take; load nothing.")] = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Train a reranker in two stages: perception, then ranking."""
    from hardcut.cli.train import train as run_train
    from hardcut.pipeline.train import Training

    asked = Training(stage, dataset, videos, model, out, revision, start, config, cache, merge)
    raise typer.Exit(run_train(asked, dry_run=dry_run, as_json=json))


@app.command()
def rerank(
    model: Annotated[str, typer.Option("--model", help="A folder or name; vllm:MODEL runs it in vLLM.")],
    run: Annotated[Path, typer.Option("--run", help="The first stage, a TREC run.")],
    queries: Annotated[Path, typer.Option("--queries", help="The queries' texts: .tsv, .csv or .jsonl.")],
    videos: Annotated[Path, typer.Option("--videos", help="The folder of the videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The reranked run; the same again goes on with it.")],
    depth: Annotated[int, typer.Option(min=1, help="How many of each query are reranked.")] = 100,
    manifest: Annotated[Path | None, typer.Option(help="A .csv or .jsonl with path and video_id.")] = None,
    revision: Annotated[str | None, typer.Option(help="The model's tag or commit.")] = None,
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Rerank a first stage's run: every video decoded once and encoded once for all of its queries."""
    from hardcut.cli.rerank import rerank as run_rerank
    from hardcut.pipeline.rerank import Reranking

    asked = Reranking(model, run, queries, videos, out, depth, manifest, revision, config, cache)
    raise typer.Exit(run_rerank(asked, as_json=json))


@app.command()
def evaluate(
    qrels: Annotated[Path, typer.Option("--qrels", help="Judgments, TREC qrels.")],
    run: Annotated[list[Path], typer.Option("--run", help="A TREC run; may be repeated: the first is compared with.")],
    dataset: Annotated[Path | None, typer.Option(help="A dataset's folder: texts, slices, diagnostic set.")] = None,
    measure: Annotated[list[str] | None, typer.Option("--measure", help="nDCG@20, R@50, ...; may be repeated.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write a page with plots to this .html.")] = None,
    json: Json = False,
) -> None:
    """Measure runs against judgments: nDCG and more, with intervals, a paired test, slices and audits."""
    from hardcut.cli.evaluate import evaluate_runs

    raise typer.Exit(evaluate_runs(qrels, run, measure or (), dataset, page, as_json=json))


@app.command()
def schema(
    record: Annotated[str | None, typer.Argument(help="One record, such as Query; default: all.")] = None,
) -> None:
    """Print the JSON Schema of each record."""
    from hardcut.cli.schema import print_schema

    print_schema(record)


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
