"""Runs the whole chain on the bundled sample, and measures how well its first stage and its teacher rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut.data.bundled import sample_files
from hardcut.engine.run_files import RunFiles
from hardcut.engine.status import RunStatus, read_status
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job
from hardcut.pipeline.demo_train import RANDOM, TINY, train_on_demo
from hardcut.pipeline.run_export import Choices, export_run
from hardcut.pipeline.train import need_train
from hardcut.publish.export_dataset import ExportSummary
from hardcut.reranker.measures import ndcg
from hardcut.schemas.config import load_settings
from hardcut.schemas.records import Query, TeacherLabel
from hardcut.schemas.settings import Settings
from hardcut.schemas.trec import read_qrels, read_run


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made: folders, the run's status, the dataset, and nDCG@10 of each ranking of `queries` queries.
    `model` is the folder of the tiny reranker, where one was trained."""

    run: Path
    dataset: Path
    model: Path | None
    settings: Settings
    status: RunStatus
    exported: ExportSummary
    ndcg: Mapping[str, float]
    queries: int


def demo(out: Path, teacher: str | None, cache: Cache, carry_out: Callable[[Job], None], *, train: bool) -> Demo:
    """Runs the sample into `out`/run by `carry_out` and exports it to `out`/dataset; with `train` a tiny reranker is
    trained on it and measured. Raises MissingDependency without the extra `train`."""
    if train:
        need_train()
    run, dataset, model = out / "run", out / "dataset", out / "model"
    with sample_files() as sample:
        overrides = {
            "teacher.spec": teacher,
            # The teacher of rules has no eyes: titles tell it what a model sees.
            "scores.show_metadata": True if teacher in (None, "evidence") else None,
            "inputs.queries": str(sample / "queries.tsv"),
            "inputs.first_stage": str(sample / "first_stage.trec"),
            "export.name": "hardcut-sample",
            "export.description": "25 rendered clips of 4 to 10 seconds: a small made-up world with everything that a"
            " video search stumbles over. No person and no real event is in them.",
            "export.authors": ["the Hardcut project"],
            "export.licence": "cc0-1.0",
        }
        settings = load_settings(None, overrides)
        carry_out(Job(sample / "videos", run, settings, cache))
        qrels = read_qrels(sample / "qrels.txt")
        first_stage = read_run(sample / "first_stage.trec").scores
        status = read_status(run)
        exported = export_run(run, dataset, Choices(new_splits=True))
        trained = train_on_demo(sample, dataset, model, settings, cache) if train else None
    values = {"first stage": ndcg(qrels, first_stage), "teacher": ndcg(qrels, teacher_run(run))}
    if trained is not None:
        values |= {run.name: run.measures["nDCG@10"].mean or 0.0 for run in trained.runs if run.name in (TINY, RANDOM)}
    return Demo(run, dataset, model if train else None, settings, status, exported, values, len(qrels))


def teacher_run(run: Path) -> dict[str, dict[str, float]]:
    """The teacher's labels of the user's queries as a run: by the user's query id, each video with its margin."""
    files = RunFiles(run)
    names = {query.query_id: query.external_id for query in files.read(Query) if query.external_id}
    scores: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for label in files.read(TeacherLabel):
        if label.query_id in names and label.logit_margin is not None:
            scores[str(names[label.query_id])][label.video_id] = label.logit_margin
    return dict(scores)
