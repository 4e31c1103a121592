"""What a label can be told from without looking at the video: the shortcuts that a reranker would learn.

The models are those of `report/statistics/shortcuts.py`: AUC of the label, R2 of the teacher's margin. The query's
folds part queries, so that it is words that tell and not names; the video's folds part pairs, since it is the name that
must not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_limit, could_not_look
from hardcut.publish.dataset import Dataset
from hardcut.publish.similar import normalised_text
from hardcut.report.statistics.shortcuts import (
    WIDEST_AUC,
    auc,
    auc_from,
    auc_half_width,
    auc_tells,
    form_words,
    is_sampled,
    r2_from,
    r2_tells,
    video_word,
)
from hardcut.schemas.dependencies import needs
from hardcut.schemas.settings import Settings

_PAIRS = {"pairs": ("query_id", "query", "video_id", "label", "logit_margin", "text_only", "label_source", "origins")}
_AGAIN = "export the run again"
_TOO_FEW = "too few pairs to tell: the interval of an AUC is too wide"


@dataclass(frozen=True, slots=True)
class _Sample:
    """Pairs with a label, each with the teacher's margin and what it said by metadata alone, where that is known.
    `taught`: whether a teacher gave the label; `written`: whether the query was written for the pair's video."""

    queries: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    margins: list[float | None] = field(default_factory=list)
    text_only: list[str | None] = field(default_factory=list)
    taught: list[bool] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)

    @property
    def asks_by_metadata(self) -> bool:
        """Whether there is a pair on which a teacher was asked by metadata alone too, had its video any."""
        return any(taught and written for taught, written in zip(self.taught, self.written, strict=True))


@check(
    _PAIRS,
    "the label (AUC) and margin (R2) from the query's words alone, or from its length, punctuation and capitals alone,"
    " cross-validated",
    _TOO_FEW,
)
def query_prior(dataset: Dataset, settings: Settings) -> CheckResult:
    """Label and margin from the query's words alone, and from how it is written alone; the worse of both counts."""
    sample = _sample(dataset)
    advice = "balance the queries: some kinds of wording go with one label; add negatives to those that lack them"
    limits = settings.check.query_auc, settings.check.query_r2
    by_words = _prior("query_prior", "the query's words", sample, sample.texts, sample.queries, limits, advice)
    if by_words.value is None:
        return by_words
    form, told = [form_words(text) for text in sample.texts], "its length, punctuation and capitals"
    by_form = _prior("query_prior", told, sample, form, sample.queries, limits, advice)
    worse = max(by_words, by_form, key=lambda found: (found.stops, found.value or 0.0))
    return replace(worse, message=f"{by_words.message}; {by_form.message}")


@check(_PAIRS, "the same from which video it is alone", _TOO_FEW)
def video_prior(dataset: Dataset, settings: Settings) -> CheckResult:
    """Predicts label and margin from the video's identity alone."""
    sample = _sample(dataset)
    advice = "use every video as a positive and as a negative: mine more candidates, or cap those of popular videos"
    limits = settings.check.video_auc, settings.check.video_r2
    names = [video_word(video) for video in sample.videos]
    return _prior("video_prior", "which video it is", sample, names, None, limits, advice)


@check(
    {**_PAIRS, "corpus": ("video_id", "video_path", "metadata")},
    "the label from the words that query and title or file name share, and from a teacher that saw metadata alone",
    "too few pairs to tell, or too few of which a teacher told by metadata alone",
)
def text_only(dataset: Dataset, settings: Settings) -> CheckResult:
    """Label from how much of the query stands in the video's name and published metadata, and from what a teacher said
    that saw no more than that."""
    sample = _sample(dataset)
    corpus = {row["video_id"]: row for _, row in dataset.rows("corpus", ("video_id", "video_path", "metadata"))}
    told = {video_id: _told(row) for video_id, row in corpus.items()}
    lost = sorted({video for video in sample.videos if video not in told})
    if lost:
        return could_not_look("text_only", "videos of the pairs are not in the corpus", _AGAIN, len(lost), lost)
    advice = "queries repeat what is written about the video: drop those of view `metadata`, or the metadata itself"
    if not auc_tells(sample.labels):
        return _too_few("text_only", sample.labels)
    overlaps = _overlaps(sample.texts, [told[video] for video in sample.videos])
    found = {"the words that query and title, name and metadata share": auc(sample.labels, overlaps)}
    asked = [(label, said == "yes") for label, said in zip(sample.labels, sample.text_only, strict=True) if said]
    labels = [label for label, _ in asked]
    limit = settings.check.text_auc
    if auc_tells(labels):
        found["a teacher that saw metadata alone"] = auc(labels, [yes for _, yes in asked])
    elif sample.asks_by_metadata and any(row["metadata"] for row in corpus.values()) and max(found.values()) <= limit:
        return _too_few("text_only", labels, " of which a teacher told by metadata alone")
    value = max(found.values())
    parts = (f"from {told_by}: AUC {score:.2f} of the label" for told_by, score in found.items())
    return by_limit("text_only", value, limit, f"{', '.join(parts)} (at most {limit})", advice, digits=2)


@check(
    {"corpus": ("video_id", "metadata"), "queries": ("query_id", "query", "source_video_id")},
    "a query that is its video's title or another field of its metadata",
    "the video that a query was written from is not in the corpus",
)
def copied_text(dataset: Dataset, settings: Settings) -> CheckResult:
    """Queries that are, word for word, a metadata field of the video that they were written from."""
    fields = {
        row["video_id"]: {normalised_text(entry["value"]) for entry in row["metadata"]}
        for _, row in dataset.rows("corpus", ("video_id", "metadata"))
    }
    found, lost, whole = Findings(), Findings(), 0
    for _, row in dataset.rows("queries", ("query_id", "query", "source_video_id")):
        whole += 1
        if row["source_video_id"] is not None and row["source_video_id"] not in fields:
            lost.add(f"{row['query_id']}: its video {row['source_video_id']} is not in the corpus")
        text = normalised_text(row["query"])
        if text and text in fields.get(row["source_video_id"], ()):
            found.add(f"{row['query_id']}: {row['query']!r} is in the metadata of {row['source_video_id']}")
    if lost.count:
        why = f"the videos of {lost.count:,} queries are not in the corpus"
        return could_not_look("copied_text", why, _AGAIN, lost.count, lost.examples)
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
    if not auc_tells(sample.labels):
        return _too_few(name, sample.labels)
    score = auc_from(texts, sample.labels, parts)
    known = [(place, margin) for place, margin in enumerate(sample.margins) if margin is not None]
    r2 = None
    if r2_tells(len(known)):
        places, margins = [place for place, _ in known], [margin for _, margin in known]
        r2 = r2_from([texts[place] for place in places], margins, parts and [parts[place] for place in places])
    elif any(sample.taught):
        why = f"{len(known):,} pairs with a teacher's margin are too few to tell what the margin goes by"
        return could_not_look(name, why, "ask a server that gives log-probabilities, or judge more pairs")
    margin_told = "no teacher judged" if r2 is None else f"R2 {r2:.2f} of the margin (at most {limits[1]})"
    text = f"from {told} alone: AUC {score:.2f} of the label (at most {limits[0]}), {margin_told}"
    worst = max(score / limits[0], (r2 or 0.0) / limits[1] if limits[1] else 0.0)
    if worst <= 1:
        return CheckResult(name, "passed", text, value=round(score, 2), limit=limits[0])
    return CheckResult(name, "failed", text, advice, value=round(score, 2), limit=limits[0])


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
    sample = _Sample()
    kept: dict[str, bool] = {}
    for split, row in dataset.rows("pairs", _PAIRS["pairs"]):
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
            sample.text_only.append(row["text_only"])
            sample.taught.append(row["label_source"] == "teacher")
            sample.written.append("source" in row["origins"])
    return sample


def _too_few(name: str, labels: Sequence[int], told: str = "") -> CheckResult:
    relevant, others = sum(labels), len(labels) - sum(labels)
    width = min(1.0, auc_half_width(relevant, others))
    why = f"{relevant:,} relevant and {others:,} other pairs{told}: the 95 % interval of an AUC reaches"
    advice = "judge more pairs of both kinds"
    return could_not_look(name, f"{why} {width:.2f} to either side, {WIDEST_AUC} may be", advice)


def _told(row: dict[str, Any]) -> str:
    values = [entry["value"] for entry in row["metadata"]]
    return " ".join([row["video_id"].replace("_", " "), row["video_path"].replace("_", " "), *values])
