"""`hardcut demo`: the whole chain on the bundled sample, and how well its first stage and its teacher rank."""

from __future__ import annotations

import json
from pathlib import Path

from hardcut.cli.export import print_export
from hardcut.cli.run import carry_out_with_bars
from hardcut.cli.status import exit_status, print_summary
from hardcut.cli.terminal import output, plain
from hardcut.data.bundled import sample_files
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.demo import Demo
from hardcut.pipeline.demo import demo as run_demo


def demo(out: Path, *, teacher: str | None, cache: Path | None, train: bool, as_json: bool) -> int:
    """Runs the sample into `out` and prints what came of it; 0, or 1 where items failed."""
    done = run_demo(out, teacher, cache_folder(cache), carry_out_with_bars, train=train)
    if as_json:
        result = {
            "run": str(done.run),
            "report": str(done.run / "report.html"),
            "dataset": str(done.dataset),
            "ndcg@10": done.ndcg,
            "queries": done.queries,
        }
        if done.model is not None:
            result["evaluation"] = str(done.model / "evaluation.html")
        print(json.dumps(result, indent=2))
    else:
        _print(done)
    return exit_status(done.status)


def _print(done: Demo) -> None:
    print_summary(done.run, done.status, as_json=False)
    print_export(done.exported)
    console = output()
    ndcg = ", ".join(f"{name} [bold]{value:.3f}[/]" for name, value in done.ndcg.items())
    spec = plain(done.settings.teacher.spec)
    console.print(f"nDCG@10   {ndcg}, over {done.queries} queries of the sample (teacher: {spec})")
    run = plain(str(done.run))
    with sample_files() as sample:
        videos = plain(str(sample / "videos"))
    console.print(
        f'review    `pip install "hardcut\\[annotate]"`, `hardcut review serve {run}` and, beside it, '
        f"`hardcut review push {run} --videos {videos}`",
        soft_wrap=True,
    )
    if done.model is not None:
        console.print(
            f"trained   {plain(str(done.model / 'ranks'))}: random weights, twenty clips and a minute use every"
        )
        console.print("          part of a reranker and make none; hold it against the random order of its candidates")
        console.print(f"page      {plain(str(done.model / 'evaluation.html'))}")
