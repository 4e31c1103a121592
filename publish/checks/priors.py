"""What a label can be told from without looking at the video: the shortcuts that a reranker would learn.

The models are those of `report/statistics/shortcuts.py`: AUC of the label, R2 of the teacher's margin. The query's
folds part queries, so that it is words that tell and not names; the video's folds part pairs, since it is the name that
must not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hardcut.publish.checks.result import CheckResult, Findings, by_limit
from hardcut.publish.dataset import Dataset
from hardcut.publish.similar import normalised_text
from hardcut.report.statistics.shortcuts import auc, auc_from, is_sampled, r2_from, video_word
from hardcut.schemas.dependencies import needs
from hardcut.schemas.settings import Settings

LEAST = 30
"""Pairs of the rarer label that it takes to say anything."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Pairs with a label, each with the teacher's margin and what it said by metadata alone, where that is known."""

    queries: list[str]
    texts: list[str]
    videos: list[str]
    labels: list[int]
    margins: list[float | None]
    unwatched: list[str | None]


@dataclass(frozen=True, slots=True)
class _Score:
    auc: float
    r2: float | None


def query_prior(dataset: Dataset, settings: Settings) -> CheckResult:
    """Label and margin from the query's words alone."""
    sample = _sample(dataset)
    advice = "balance the queries: some kinds of wording go with one label; add negatives to those that lack them"
    limits = settings.check.query_auc, settings.check.query_r2
    return _prior("query_prior", "the query's words", sample, sample.texts, sample.queries, limits, advice)


def video_prior(dataset: Dataset, settings: Settings) -> CheckResult:
    """Label and margin from which video it is, and nothing else."""
    sample = _sample(dataset)
    advice = "use every video as a positive and as a negative: mine more candidates, or cap those of popular videos"
    limits = settings.check.video_auc, settings.check.video_r2
    names = [video_word(video) for video in sample.videos]
    return _prior("video_prior", "which video it is", sample, names, None, limits, advice)


def text_only(dataset: Dataset, settings: Settings) -> CheckResult:
    """Label from how much of the query stands in the video's name and published metadata, and from what a teacher said
    that saw no more than that."""
    sample = _sample(dataset)
    told = {row["video_id"]: _told(row) for _, row in dataset.rows("corpus", ("video_id", "video_path", "metadata"))}
    advice = "queries repeat what is written about the video: drop those of view `metadata`, or the metadata itself"
    if _too_few(sample.labels):
        return _unsaid("text_only", sample)
    overlaps = _overlaps(sample.texts, [told.get(video, "") for video in sample.videos])
    found = {"the words that query and title, name and metadata share": auc(sample.labels, overlaps)}
    asked = [(label, said == "yes") for label, said in zip(sample.labels, sample.unwatched, strict=True) if said]
    if not _too_few([label for label, _ in asked]):
        labels, yes = zip(*asked, strict=True)
        found["a teacher that saw metadata alone"] = auc(labels, yes)
    value, limit = max(found.values()), settings.check.text_auc
    parts = (f"from {told_by}: AUC {score:.2f} of the label" for told_by, score in found.items())
    return by_limit("text_only", value, limit, f"{', '.join(parts)} (at most {limit})", advice, digits=2)


def copied_text(dataset: Dataset, settings: Settings) -> CheckResult:
    """Queries that are, word for word, a metadata field of the video that they were written from."""
    fields = {
        row["video_id"]: {normalised_text(entry["value"]) for entry in row["metadata"]}
        for _, row in dataset.rows("corpus", ("video_id", "metadata"))
    }
    found, whole = Findings(), 0
    for _, row in dataset.rows("queries", ("query_id", "query", "source_video_id")):
        whole += 1
        text = normalised_text(row["query"])
        if text and text in fields.get(row["source_video_id"], ()):
            found.add(f"{row['query_id']}: {row['query']!r} is in the metadata of {row['source_video_id']}")
    share = found.count / whole if whole else 0.0
    limit = settings.check.copied_text
    told = (
        f"{100 * share:.1f} % of the queries repeat a metadata field of their video word for word"
        f" (at most {100 * limit:g} %)"
    )
    advice = "drop those queries, or have the teacher rewrite them; check what the `metadata` view shows it"
    return by_limit("copied_text", share, limit, told, advice, found)


def _prior(
    name: str,
    told: str,
    sample: _Sample,
    texts: Sequence[str],
    parts: Sequence[str] | None,
    limits: tuple[float, float],
    advice: str,
) -> CheckResult:
    if _too_few(sample.labels):
        return _unsaid(name, sample)
    score = _score(texts, sample, parts)
    r2 = "margins not known" if score.r2 is None else f"R2 {score.r2:.2f} of the margin (at most {limits[1]})"
    text = f"from {told} alone: AUC {score.auc:.2f} of the label (at most {limits[0]}), {r2}"
    worst = max(score.auc / limits[0], (score.r2 or 0.0) / limits[1] if limits[1] else 0.0)
    if worst <= 1:
        return CheckResult(name, "passed", text, value=round(score.auc, 2), limit=limits[0])
    return CheckResult(name, "failed", text, advice, value=round(score.auc, 2), limit=limits[0])


def _score(texts: Sequence[str], sample: _Sample, parts: Sequence[str] | None) -> _Score:
    """Out-of-fold AUC and R2 of bag-of-words models; no R2 where a margin is not known."""
    found = auc_from(texts, sample.labels, parts)
    known = [margin for margin in sample.margins if margin is not None]
    return _Score(found, r2_from(texts, known, parts) if len(known) == len(sample.margins) else None)


def _overlaps(queries: Sequence[str], documents: Sequence[str]) -> list[float]:
    """Cosine of the TF-IDF vectors of each query and its document."""
    with needs("scikit-learn", "publish"):
        from sklearn.feature_extraction.text import TfidfVectorizer
    words = TfidfVectorizer(token_pattern=r"(?u)\w+", sublinear_tf=True).fit([*set(queries), *set(documents)])
    return list((words.transform(queries).multiply(words.transform(documents))).sum(axis=1).A1.tolist())


def _sample(dataset: Dataset) -> _Sample:
    """Whole queries of the train split, else of all, by hash until there are enough pairs."""
    splits = ("train",) if dataset.splits("pairs")[:1] == ("train",) else dataset.splits("pairs")
    whole = sum(dataset.count("pairs", split) for split in splits)
    sample = _Sample([], [], [], [], [], [])
    kept: dict[str, bool] = {}
    columns = ("query_id", "query", "video_id", "label", "logit_margin", "text_only")
    for split, row in dataset.rows("pairs", columns):
        if split not in splits:
            continue
        query_id = row["query_id"]
        if query_id not in kept:
            kept = {query_id: is_sampled(query_id, whole)}  # a query's pairs lie together
        if kept[query_id]:
            sample.queries.append(query_id)
            sample.texts.append(row["query"])
            sample.videos.append(row["video_id"])
            sample.labels.append(int(row["label"] > 0))
            sample.margins.append(row["logit_margin"])
            sample.unwatched.append(row["text_only"])
    return sample


def _rarer(labels: Sequence[int]) -> int:
    return min(sum(labels), len(labels) - sum(labels))


def _too_few(labels: Sequence[int]) -> bool:
    return _rarer(labels) < LEAST


def _unsaid(name: str, sample: _Sample) -> CheckResult:
    told = f"not measured: {_rarer(sample.labels)} pairs of the rarer label, {LEAST} are needed to tell"
    return CheckResult(name, "passed", told)


def _told(row: dict[str, Any]) -> str:
    values = [entry["value"] for entry in row["metadata"]]
    return " ".join([row["video_id"].replace("_", " "), row["video_path"].replace("_", " "), *values])
