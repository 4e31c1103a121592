"""`hardcut demo`: the whole chain on the bundled sample, and how well its first stage and its teacher rank."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from hardcut.cli.chain import Job
from hardcut.cli.demo_train import RANDOM, TINY, train_on_demo
from hardcut.cli.export import export_run, print_export
from hardcut.cli.paths import cache_folder
from hardcut.cli.run import carry_out
from hardcut.cli.status import exit_status, print_summary
from hardcut.cli.terminal import output, plain
from hardcut.cli.train import need_train
from hardcut.data.bundled import sample_files
from hardcut.engine.status import read_status
from hardcut.reranker.measures import ndcg
from hardcut.schemas.config import load_settings
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Query, TeacherLabel
from hardcut.schemas.trec import read_qrels, read_run


def demo(out: Path, *, teacher: str | None, cache: Path | None, train: bool, as_json: bool) -> int:
    """Runs the sample into `out`/run, exports it to `out`/dataset and prints what came of it; with `train` a tiny
    reranker is trained on it and measured."""
    if train:
        need_train()
    run, dataset = out / "run", out / "dataset"
    with sample_files() as sample:
        overrides = {
            "teacher.spec": teacher,
            "inputs.queries": str(sample / "queries.tsv"),
            "inputs.first_stage": str(sample / "first_stage.trec"),
            "export.name": "hardcut-sample",
            "export.description": "25 rendered clips of 4 to 10 seconds: a small made-up world with everything that a"
            " video search stumbles over. No person and no real event is in them.",
            "export.authors": ["the Hardcut project"],
            "export.licence": "cc0-1.0",
        }
        settings = load_settings(None, overrides)
        carry_out(Job(sample / "videos", run, settings, cache_folder(cache)))
        qrels = read_qrels(sample / "qrels.txt")
        first_stage = read_run(sample / "first_stage.trec").scores
        status = read_status(run)
        exported = export_run(run, dataset)
        trained = train_on_demo(sample, dataset, out / "model", settings, cache_folder(cache)) if train else None
    values = {"first stage": ndcg(qrels, first_stage), "teacher": ndcg(qrels, teacher_run(run))}
    if trained is not None:
        values |= {run.name: run.measures["nDCG@10"].mean or 0.0 for run in trained.runs if run.name in (TINY, RANDOM)}
    if as_json:
        result = {
            "run": str(run),
            "report": str(run / "report.html"),
            "dataset": str(dataset),
            "ndcg@10": values,
            "queries": len(qrels),
        }
        if trained is not None:
            result["evaluation"] = str(out / "model" / "evaluation.html")
        print(json.dumps(result, indent=2))
        return exit_status(status)
    print_summary(run, status, as_json=False)
    print_export(exported)
    console = output()
    told = ", ".join(f"{name} [bold]{value:.3f}[/]" for name, value in values.items())
    console.print(
        f"nDCG@10   {told}, over {len(qrels)} queries of the sample (teacher: {plain(settings.teacher.spec)})"
    )
    if trained is not None:
        console.print(
            f"trained   {plain(str(out / 'model' / 'ranks'))}: random weights, twenty clips and a minute use every"
        )
        console.print("          part of a reranker and make none; hold it against the random order of its candidates")
        console.print(f"page      {plain(str(out / 'model' / 'evaluation.html'))}")
    return exit_status(status)


def teacher_run(run: Path) -> dict[str, dict[str, float]]:
    """The teacher's labels of the user's queries as a run: by the user's query id, each video with its margin."""
    names = {query.query_id: query.external_id for query in read_records(run / Query.FILE, Query) if query.external_id}
    scores: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for label in read_records(run / TeacherLabel.FILE, TeacherLabel):
        if label.query_id in names and label.logit_margin is not None:
            scores[str(names[label.query_id])][label.video_id] = label.logit_margin
    return dict(scores)
