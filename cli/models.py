"""The commands about models: trained on a dataset, put to rank, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hardcut.cli.options import Cache, Config, Json

models = typer.Typer()


@models.command()
def train(
    stage: Annotated[str, typer.Argument(help="perception, then ranking: a reranker; embedding: an embedder.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder; embedding: also a .csv of triplets.")],
    model: Annotated[str, typer.Option("--model", help="A Qwen3-VL model: a folder, or a name on the Hub.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The trained model; the same again goes on with it.")],
    videos: Annotated[
        list[Path] | None,
        typer.Option("--videos", help="The folder of its videos; of several datasets, repeated. Embedding: if shown."),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A further dataset, FOLDER or FOLDER=WEIGHT; may be repeated.")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="ranking: the folder that perception wrote.")] = None,
    revision: Annotated[str | None, typer.Option(help="The model's tag or commit.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="embedding: a reranker's TREC run, in place of the teacher's margins.")
    ] = None,
    config: Config = None,
    merge: Annotated[bool, typer.Option("--merge", help="Write whole weights, as vLLM wants, not an adapter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take; load nothing.")] = False,
    card: Annotated[str, typer.Option(help="--dry-run: h100 | h200 | b200 | a100 | l40s | rtx4090 | ...")] = "h100",
    cards: Annotated[int, typer.Option(min=1, help="--dry-run: how many of them.")] = 1,
    price: Annotated[float | None, typer.Option(min=0, help="--dry-run: of an hour of one card.")] = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Train a reranker in two stages, perception, then ranking; or an embedder."""
    from hardcut.cli.train import train as run_train
    from hardcut.pipeline.train import Cards, Training

    first, *others = videos or (None,)
    asked = Training(
        stage, dataset, first, model, out, revision, start, config, cache, merge, scores,
        tuple(also or ()), tuple(filter(None, others)),
    )  # fmt: skip
    raise typer.Exit(run_train(asked, dry_run=dry_run, as_json=json, cards=Cards(card, cards, price)))


@models.command()
def rerank(
    model: Annotated[
        str,
        typer.Option("--model", help="Folder or name; vllm:MODEL is run by vLLM; classify:MODEL@URL[,URL] is served."),
    ],
    run: Annotated[Path, typer.Option("--run", help="The first stage, a TREC run.")],
    queries: Annotated[Path, typer.Option("--queries", help="The queries' texts: .tsv, .csv or .jsonl.")],
    videos: Annotated[Path, typer.Option("--videos", help="The folder of the videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The reranked run; the same again goes on with it.")],
    depth: Annotated[int, typer.Option(min=1, help="How many of each query are reranked.")] = 100,
    manifest: Annotated[Path | None, typer.Option(help="A .csv or .jsonl with path and video_id.")] = None,
    prior: Annotated[
        float, typer.Option(min=0, max=1, help="Take away so much of what a video scores when nothing is asked.")
    ] = 0.0,
    profile: Annotated[
        str | None, typer.Option(help="How others' rerankers are shown pairs: rankvideo | qwen3-vl-reranker | ...")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="The model's tag or commit.")] = None,
    key_variable: Annotated[str | None, typer.Option(help="Environment variable with the server's key.")] = None,
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Rerank a first stage's run: every video decoded once and encoded once for all of its queries."""
    from hardcut.cli.rerank import rerank as run_rerank
    from hardcut.pipeline.rerank import Reranking

    asked = Reranking(
        model, run, queries, videos, out, depth, manifest, revision, config, cache, prior, profile, key_variable
    )
    raise typer.Exit(run_rerank(asked, as_json=json))


@models.command()
def embed(
    source: Annotated[Path, typer.Argument(help="A run's or dataset's folder.")],
    model: Annotated[
        str, typer.Option("--model", help="A folder or name; openai:MODEL@URL or pooling:MODEL@URL, a server's.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of vectors; the same again goes on with it.")],
    what: Annotated[
        list[str] | None, typer.Option("--what", help="videos | captions | queries; may be repeated. Default: all.")
    ] = None,
    videos: Annotated[Path | None, typer.Option("--videos", help="The folder of the videos.")] = None,
    revision: Annotated[str | None, typer.Option(help="The model's tag or commit.")] = None,
    key_variable: Annotated[
        str | None, typer.Option(help="Environment variable with the server's key; default: the main teacher's.")
    ] = None,
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Make vectors of videos, captions and queries, each once."""
    from hardcut.cli.embed import embed as run_embed
    from hardcut.embedder.items import KINDS
    from hardcut.pipeline.embed import Embedding

    kinds = tuple(what) if what else KINDS
    asked = Embedding(source, model, out, kinds, videos, revision, config, cache, key_variable)
    raise typer.Exit(run_embed(asked, as_json=json))


@models.command()
def search(
    vectors: Annotated[Path, typer.Argument(help="The folder that `hardcut embed` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The TREC run to write.")],
    queries: Annotated[Path | None, typer.Option(help="Vectors of queries in another folder.")] = None,
    among: Annotated[str | None, typer.Option(help="videos | captions; default: videos where there are some.")] = None,
    depth: Annotated[int, typer.Option(min=1, help="How many are found for each query.")] = 1000,
    json: Json = False,
) -> None:
    """Search vectors, exactly: a TREC run of the best for each query."""
    from hardcut.cli.embed import search as run_search

    raise typer.Exit(run_search(vectors, out, queries, among, depth, as_json=json))


@models.command()
def evaluate(
    qrels: Annotated[Path | None, typer.Option("--qrels", help="Judgments, TREC qrels.")] = None,
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="A TREC run; may be repeated: the first is compared with.")
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="A dataset's folder: texts, slices, diagnostic set.")] = None,
    measure: Annotated[list[str] | None, typer.Option("--measure", help="nDCG@20, R@50, ...; may be repeated.")] = None,
    slices: Annotated[
        list[str] | None, typer.Option("--slice", help="A column of the dataset's queries; may be repeated.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write a page with plots to this .html.")] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Of nuance, in place of qrels: adverbs | cia | negbench | rtime | webvid-covr")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", help="The benchmark's own file; may be repeated.")
    ] = None,
    asked: Annotated[Path | None, typer.Option(help="Write what the benchmark has scored to this folder.")] = None,
    json: Json = False,
) -> None:
    """Measure runs against judgments: nDCG and more, with intervals, a paired test, slices and audits; or a benchmark
    of nuance, by its own files and measures."""
    from hardcut.schemas.errors import UsageError

    if benchmark is not None:
        if qrels or dataset or measure or slices or page:
            raise UsageError("--benchmark takes --file, --run and --asked alone: it has its own judgments and measures")
        from hardcut.cli.benchmark import benchmark as run_benchmark

        raise typer.Exit(run_benchmark(benchmark, file or (), run or (), asked, as_json=json))
    if file or asked:
        raise UsageError("--file and --asked belong to --benchmark NAME")
    if qrels is None or not run:
        raise UsageError("name judgments with --qrels and runs with --run, or a benchmark of nuance with --benchmark")
    from hardcut.cli.evaluate import evaluate_runs

    raise typer.Exit(evaluate_runs(qrels, run, measure or (), dataset, page, slices or (), as_json=json))


@models.command()
def diagnose(
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder, as `hardcut export` wrote it.")],
    videos: Annotated[Path, typer.Option(help="The folder of its videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of what is scored, and of the page.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="A model that is scored here; may be repeated.")
    ] = None,
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="A TREC run of its pairs, scored elsewhere; may be repeated.")
    ] = None,
    split: Annotated[str, typer.Option(help="The split that trials are drawn from.")] = "test",
    page: Annotated[Path | None, typer.Option(help="Write the page here, not to the folder.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Trials of a nuance or probe at most.")] = 100,
    revision: Annotated[str | None, typer.Option(help="The model's tag or commit.")] = None,
    config: Config = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Find out what rerankers cannot tell apart, and what they go by that is no reason for a score."""
    from hardcut.cli.diagnose import diagnose as run_diagnose
    from hardcut.pipeline.diagnose import Diagnosing

    job = Diagnosing(
        dataset, videos, out, split, tuple(model or ()), tuple(run or ()), page, most, revision, config, cache
    )
    raise typer.Exit(run_diagnose(job, as_json=json))
