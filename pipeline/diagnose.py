"""Diagnoses rerankers: what they cannot tell apart, and what they go by that is no reason for a score."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from hardcut.engine.files import atomic_writer, storage_error
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.rerank import Reranking, rerank
from hardcut.publish.dataset import Dataset
from hardcut.publish.splits import SPLITS
from hardcut.reranker.audits import leaked
from hardcut.reranker.clips import Clips
from hardcut.reranker.diagnosis.altering import Quads
from hardcut.reranker.diagnosis.findings import Diagnosis, diagnose
from hardcut.reranker.diagnosis.folder import MADE, QUERIES, RUN, VIDEOS, Made, write_folder
from hardcut.reranker.diagnosis.page import write_diagnosis
from hardcut.reranker.diagnosis.trials import MOST, plan
from hardcut.reranker.evaluation import runs_by_name
from hardcut.reranker.facts import read_facts
from hardcut.reranker.reranking import RerankSummary
from hardcut.reranker.servers import FORMS
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.trec import Run, read_run
from hardcut.teacher.model_digest import model_identity

SCORES, RESULT = "scores", "diagnosis.json"
_EVERYTHING = sys.maxsize


@dataclass(frozen=True, slots=True)
class Diagnosing:
    """A diagnosis: of which split of which dataset, into which folder; `models` are scored here, `runs` were scored
    elsewhere. `most` trials of a nuance or probe."""

    dataset: Path
    videos: Path
    out: Path
    split: str = "test"
    models: tuple[str, ...] = ()
    runs: tuple[Path, ...] = ()
    page: Path | None = None
    most: int = MOST
    revision: str | None = None
    config: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """The folder, what each model or run shows, and what each model could not score."""

    made: Made
    diagnoses: tuple[Diagnosis, ...]
    scored: tuple[RerankSummary, ...]


def run_diagnosis(job: Diagnosing) -> Diagnosed:
    """Makes the folder where it is not there, scores it with the models, and reads the runs. Goes on where it was
    stopped. Raises UsageError, MissingDependency, StorageError."""
    made = prepare(job)
    scores: list[tuple[str, Run]] = []
    summaries = []
    for model in job.models:
        name, out, done = _score(job, made, model)
        summaries += done
        scores.append((name, _read(out)))
    scores += [(path.stem, _read(path)) for path in job.runs]
    runs = runs_by_name(scores)
    diagnoses = tuple(diagnose(name, made.plan, run) for name, run in runs.items())
    if diagnoses:
        with atomic_writer(job.out / RESULT) as file:
            json.dump([each.model_dump(mode="json") for each in diagnoses], file, indent=2)
        write_diagnosis(made, diagnoses, runs, job.page or job.out / "diagnosis.html")
    return Diagnosed(made, diagnoses, tuple(summaries))


def prepare(job: Diagnosing) -> Made:
    """Draws what is to be scored, and writes it."""
    if job.split not in SPLITS:
        raise UsageError(f"{job.split!r} is no split of a dataset: {', '.join(SPLITS)}")
    tables = Dataset(job.dataset)
    tables.refuse_altered(("queries", "pairs", "diagnostic"))
    facts = read_facts(tables)
    tested = [id for id, query in facts.queries.items() if query.split == job.split]
    if not tested:
        raise UsageError(f"{job.dataset}: its split {job.split} has no queries: name another one with --split")
    if not job.videos.is_dir():
        raise UsageError(f"{job.videos}: no such folder of videos")
    drawn = plan(tables, (job.split,), leaked(tested, facts), job.most)
    settings, cache = load_settings(job.config), cache_folder(job.cache)
    clips = Clips(job.videos, cache.frames, settings.media)
    try:
        job.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(job.out, error) from error
    return write_folder(drawn, job.out, clips, _text_finder(), _told)


def _score(job: Diagnosing, made: Made, model: str) -> tuple[str, Path, list[RerankSummary]]:
    """Scores what the folder asks with a model; its name and its run."""
    name, out = _scores_of(model, job)
    out.parent.mkdir(exist_ok=True)
    whole = Reranking(
        model, made.folder / RUN, made.folder / QUERIES, job.videos, out, _EVERYTHING,
        revision=job.revision, config=job.config, cache=job.cache, references=made.plan.references,
    )  # fmt: skip
    altered = replace(whole, run=made.folder / MADE, videos=made.folder / VIDEOS, out=out.with_suffix(".made.trec"))
    done = [
        asyncio.run(rerank(each)) for each in (whole, altered) if each.run.stat().st_size and not each.out.is_file()
    ]
    return name, out, done


def _scores_of(model: str, job: Diagnosing) -> tuple[str, Path]:
    """A model's name, and the run of its scores: another one for other weights, so that a model of the same name, or
    one that was trained on, is never taken for scored."""
    kind, _, rest = model.partition(":")
    if kind in FORMS:
        name = identity = rest.partition("@")[0]
    else:
        place = rest if kind in ("vllm", "transformers") and rest else model
        name, identity = Path(place).name, model_identity(place)
    name = Path(name).name
    return name, job.out / SCORES / f"{name}-{digest(kind, identity, job.revision)[:8]}.trec"


def _read(path: Path) -> Run:
    """A run, with that of the made videos beside it, if there is one (`NAME.made.trec`)."""
    beside = path.with_suffix(".made.trec")
    found = {query: dict(videos) for query, videos in read_run(path).scores.items()}
    if beside.is_file():
        for query, videos in read_run(beside).scores.items():
            found.setdefault(query, {}).update(videos)
    return found


def _text_finder() -> Quads | None:
    """What finds text in pictures, where it is installed."""
    try:
        import rapidocr  # noqa: F401
    except ImportError:
        return None
    from hardcut.synth.evidence.rapid import RapidEngine

    return RapidEngine().detect


def _told(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr)
