"""`hardcut diagnose`: what a reranker cannot tell apart, and what it goes by."""

from __future__ import annotations

from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.diagnose import Diagnosed, Diagnosing, run_diagnosis
from hardcut.reranker.diagnosis.findings import Diagnosis, Figure


def diagnose(job: Diagnosing, *, as_json: bool) -> int:
    """Makes what is scored, scores it, and says what stands out; 1 where a model could not score something."""
    done = run_diagnosis(job)
    if as_json:
        import json

        print(
            json.dumps(
                {
                    "out": str(job.out),
                    "trials": len(done.made.plan.trials),
                    "videos_made": len(done.made.plan.altered),
                    "left_out": dict(done.made.left_out),
                    "diagnoses": [each.model_dump(mode="json") for each in done.diagnoses],
                },
                indent=2,
            )
        )
    else:
        _print(done, job)
    return 1 if any(each.failed or each.missing_videos for each in done.scored) else 0


def _print(done: Diagnosed, job: Diagnosing) -> None:
    console = output()
    plan = done.made.plan
    console.print(f"trials      {len(plan.trials):,}, of {', '.join(plan.splits)}; {len(plan.altered):,} videos made")
    if done.made.left_out:
        console.print(
            f"left out    {len(done.made.left_out):,} could not be made: {plain(str(job.out))}/left_out.jsonl"
        )
    for summary in done.scored:
        for pair, why in sorted(summary.failed.items()):
            console.print(f"failed      {plain(pair)}: {plain(why)}")
        for video, why in sorted(summary.missing_videos.items()):
            console.print(f"missing     video {plain(video)}: {plain(why)}")
    for each in done.diagnoses:
        console.print(_table(each))
    if done.diagnoses:
        console.print(f"page        {plain(str(job.page or job.out / 'diagnosis.html'))}")
    else:
        console.print(
            f"next        score {plain(str(job.out))}/run.trec on your videos and made.trec on {plain(str(job.out))}"
            "/videos, as NAME.trec and NAME.made.trec, and name NAME.trec with --run; or name a model with --model",
            soft_wrap=True,
        )


def _table(of: Diagnosis) -> Table:
    table = Table(
        title=f"\n{plain(of.name)}: {len(of.findings)} findings, {of.scored:,} of {of.asked:,} pairs scored",
        title_justify="left", title_style="bold", box=None, pad_edge=False,
    )  # fmt: skip
    for column in ("looked at", "share or R2", "95 %", "moved", "p (Holm)", "scored", "verdict"):
        table.add_column(column, justify="left" if column in ("looked at", "verdict") else "right")
    for figure in of.figures:
        table.add_row(*_row(figure))
    return table


def _row(figure: Figure) -> tuple[str, ...]:
    share = "-" if figure.share is None else f"{figure.share:.3f}"
    interval = "" if figure.interval is None else f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}"
    moved = "" if figure.moved is None else f"{figure.moved:+.2f}"
    p_holm = "" if figure.p_holm is None else f"{figure.p_holm:.4f}"
    told = {"finding": "[bold red]finding[/]", "none": "nothing", "not looked": f"not looked: {figure.note}"}
    scored = f"{figure.scored} of {figure.asked}"
    return plain(figure.name), share, interval, moved, p_holm, scored, told[figure.verdict]
