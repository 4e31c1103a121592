"""Whether queries that mean the same, in whatever words and languages, are in two splits: by vectors that are given."""

from __future__ import annotations

from pathlib import Path

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_count, could_not_look
from hardcut.publish.dataset import Dataset
from hardcut.publish.given_splits import QueryRef
from hardcut.publish.same_meaning import read_meanings
from hardcut.schemas.settings import Settings


@check(
    {"queries": ("query_id", "external_id", "query", "reference_video_id")},
    "queries that mean the same in two splits, by vectors that are given (`--vectors`)",
    "a query has no vector",
    may_be_empty=("queries",),
)
def meaning_leakage(dataset: Dataset, settings: Settings) -> CheckResult:
    """Queries of two splits whose vectors have a cosine of at least `check.meaning`.

    As in `query_leakage`, texts with other numbers are two queries, and so are composed ones that start from two
    videos. Raises UsageError where the folder holds no vectors of queries.
    """
    splits: dict[str, str] = {}
    queries: dict[str, QueryRef] = {}
    for split, row in dataset.rows("queries", ("query_id", "external_id", "query", "reference_video_id")):
        splits[row["query_id"]] = split
        queries[row["query_id"]] = QueryRef(
            None, None, text=row["query"], external_id=row["external_id"], reference_video_id=row["reference_video_id"]
        )
    if settings.check.vectors is None:
        return CheckResult("meaning_leakage", "off", "no vectors of queries are given (`--vectors`)")
    folder = Path(settings.check.vectors)
    meanings = read_meanings(folder, queries, settings.check.meaning)
    if meanings.lacking:
        why = f"{len(meanings.lacking):,} queries have no vector in {folder.name}"
        advice = "`hardcut embed` again with --what queries"
        return could_not_look("meaning_leakage", why, advice, len(meanings.lacking), meanings.lacking)
    found = Findings()
    for first, second, cosine in meanings.pairs([splits[id] for id in meanings.ids]):
        told = (f"{splits[id]} {id}: {queries[id].text!r}" for id in (first, second))
        found.add(f"{' and '.join(told)} ({cosine:.3f})")
    return by_count(
        "meaning_leakage", found, f"no query of another split is nearer than {settings.check.meaning:g}",
        "{count} pairs of queries in two splits mean the same",
        "export the run again with `--vectors`, which keeps such queries together, or raise `check.meaning` where they"
        " ask for other videos",
    )  # fmt: skip
