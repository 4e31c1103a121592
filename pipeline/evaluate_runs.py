"""Measures rankings against judgments. Takes files or values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hardcut.publish.dataset import Dataset
from hardcut.reranker.evaluation import evaluate as measure
from hardcut.reranker.evaluation import runs_by_name
from hardcut.reranker.evaluation_page import write_evaluation
from hardcut.reranker.facts import UNKNOWN, read_facts
from hardcut.reranker.measures import MEASURES
from hardcut.reranker.results import Evaluation
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import Qrels, Run, checked_qrels, checked_run, read_qrels, read_run

PathLike = str | Path


def evaluate(
    qrels: Qrels | PathLike,
    *runs: Run | PathLike,
    measures: Sequence[str] = (),
    dataset: PathLike | None = None,
    page: PathLike | None = None,
    slices: Sequence[str] = (),
) -> Evaluation:
    """Measures TREC runs against qrels. The other runs are compared with the first.

    `qrels` and `runs` are files, or mappings of grades and of scores by query and video. `measures` are names such as
    `nDCG@10` and `R@50` (default: those of docs/evaluation.md). `dataset` is the folder of a dataset with the queries;
    it adds texts, slices and the diagnostic set. `page` is a file to write a page with plots to.
    `slices` are further columns of the dataset's queries to slice by (`source_video_id`, `difficulty.spans`).

    Raises UsageError for a file that cannot be read, a score that is not finite, a grade that is no whole number or out
    of range, and where no run is given; MissingDependency without the extra `eval`.

    Examples:
        >>> import hardcut
        >>> found = hardcut.evaluate({"q1": {"a": 1, "b": 0}}, {"q1": {"a": 2.0, "b": 1.0}}, measures=["nDCG@10"])
        >>> found.runs[0].measures["nDCG@10"].mean
        1.0
    """
    if not runs:
        raise UsageError("no run is given: there is nothing to measure")
    read = checked_qrels(qrels) if isinstance(qrels, Mapping) else read_qrels(Path(qrels))
    facts = UNKNOWN
    if slices and dataset is None:
        raise UsageError("--slice takes a column of the dataset's queries: name the dataset (--dataset)")
    if dataset is not None:
        tables = Dataset(Path(dataset))
        tables.refuse_altered(("queries", "diagnostic"))
        facts = read_facts(tables, slices)
    names = (
        ("run", checked_run(run)) if isinstance(run, Mapping) else (Path(run).stem, read_run(Path(run)).scores)
        for run in runs
    )
    found = measure(read, runs_by_name(names), facts, tuple(measures) or MEASURES)
    if page is not None:
        write_evaluation(found, Path(page))
    return found
