"""Whether anything that is held out is seen in training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hardcut.publish.assigned import ASSIGNED, read_assigned
from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_count, could_not_look
from hardcut.publish.dataset import GUARDED, Dataset
from hardcut.publish.guarded import GuardCoverage
from hardcut.publish.similar import similar_pairs
from hardcut.publish.splits import may_use
from hardcut.schemas.settings import Settings

_REGROUP = "export the run again, or correct the split that you gave"


@check(
    {"corpus": ("video_id", "video_path", "sha256")}, "the same video, by its file's digest, path or id, in two splits"
)
def video_leakage(dataset: Dataset, settings: Settings) -> CheckResult:
    """The same file (sha256), path or id in two splits of the corpus."""
    rows = dataset.rows("corpus", ("video_id", "video_path", "sha256"))
    keys = ((split, f"{kind} {row[kind]}") for split, row in rows for kind in ("video_id", "video_path", "sha256"))
    found = _straddling(keys)
    return by_count(
        "video_leakage", found, "no video is in two splits", "{count} videos or copies are in two splits", _REGROUP
    )


@check(
    {"corpus": ("metadata",)},
    "the same event or source (`export.group_by`) in two splits",
    "no video names one; where there are none to name, set `export.group_by = []`",
)
def event_leakage(dataset: Dataset, settings: Settings) -> CheckResult:
    """Videos of one event or source in two splits."""
    fields = set(settings.export.group_by)
    named = [
        (split, f"{entry['key']} {entry['value'].strip()!r}")
        for split, row in dataset.rows("corpus", ("metadata",))
        for entry in row["metadata"]
        if entry["key"] in fields and entry["value"].strip()
    ]
    if fields and not named:
        return could_not_look(
            "event_leakage", f"no video names its {' or '.join(sorted(fields))}",
            "name them in a manifest or beside the videos; where there are none, set `export.group_by = []`",
        )  # fmt: skip
    message = f"no {' or '.join(sorted(fields))} is in two splits" if fields else "`export.group_by` names no field"
    return by_count(
        "event_leakage", _straddling(named), message, "{count} events or sources are in two splits", _REGROUP
    )


@check(
    {"corpus": ("group",)},
    "copies of one recording in two splits",
    "the stage `signatures` failed for a video, or `duplicates.near` is off",
    marker=(GUARDED,),
)
def near_duplicate_leakage(dataset: Dataset, settings: Settings) -> CheckResult:
    """Videos of one group (near duplicates, among others) in two splits."""
    found = _straddling((split, f"group {row['group']}") for split, row in dataset.rows("corpus", ("group",)))
    looked = GuardCoverage.read(dataset, "near_duplicates")
    if not found.count and not looked.on:
        return could_not_look(
            "near_duplicate_leakage", "the run looked for no copies", "set `duplicates.near` and run again"
        )
    if not found.count and looked.unknown is not None:
        advice = "mend what failed, `hardcut run` again with --retry-failed, then export again"
        count = looked.missing + looked.few
        return could_not_look("near_duplicate_leakage", looked.unknown, advice, count, looked.items)
    return by_count(
        "near_duplicate_leakage", found, "no group of videos is in two splits",
        "{count} groups of near duplicate videos are in two splits", _REGROUP,
    )  # fmt: skip


@check({"queries": ("query_id", "query")}, "the same wording, in all but a letter or two, in two splits")
def query_leakage(dataset: Dataset, settings: Settings) -> CheckResult:
    """Queries of near duplicate text in two splits."""
    texts: dict[str, str] = {}
    splits: dict[str, str] = {}
    for split, row in dataset.rows("queries", ("query_id", "query")):
        texts[f"{split} {row['query_id']}"] = row["query"]
        splits[f"{split} {row['query_id']}"] = split
    found = Findings()
    for first, second in similar_pairs(texts, settings.export.near_text):
        if splits[first] != splits[second]:
            found.add(f"{first}: {texts[first]!r} and {second}: {texts[second]!r}")
    return by_count(
        "query_leakage", found, "no query is in two splits, not even in near duplicate words",
        "{count} queries have a near duplicate in another split", _REGROUP,
    )  # fmt: skip


@check(
    {
        "corpus": ("video_id",),
        "pairs": ("pair_id", "video_id", "reference_video_id"),
        "diagnostic": ("block_id", "video_id", "mirror"),
        "captions": ("caption_id", "video_id"),
        "groups": ("group_id", "positive", "negatives"),
    },
    "a row with a video that is held out for a later split",
    "a row names a video that the corpus lacks",
    may_be_empty=("diagnostic", "captions", "groups"),
)
def held_out_use(dataset: Dataset, settings: Settings) -> CheckResult:
    """Pairs (their composed query's reference too), groups, captions and blocks with a video held out for a later
    split."""
    split_of = {row["video_id"]: split for split, row in dataset.rows("corpus", ("video_id",))}
    found, unknown = Findings(), Findings()

    def look(config: str, split: str, video_id: str | None, name: str) -> None:
        if video_id is None:
            return
        video_split = split_of.get(video_id)
        if video_split is None:
            unknown.add(f"{config} {name}: the video {video_id} is not in the corpus")
        elif not may_use(split, video_split):  # type: ignore[arg-type]
            found.add(f"{config} {name} of {split}: the video {video_id} is held out for {video_split}")

    for split, row in dataset.rows("pairs", ("pair_id", "video_id", "reference_video_id")):
        look("pairs", split, row["video_id"], row["pair_id"])
        look("pairs", split, row["reference_video_id"], row["pair_id"])
    for split, row in dataset.rows("diagnostic", ("block_id", "video_id", "mirror")):
        look("diagnostic", split, row["video_id"], row["block_id"])
        look("diagnostic", split, (row["mirror"] or {}).get("video_id"), row["block_id"])
    for split, row in dataset.rows("captions", ("caption_id", "video_id")):
        look("captions", split, row["video_id"], row["caption_id"])
    for split, row in dataset.rows("groups", ("group_id", "positive", "negatives")):
        for candidate in (row["positive"], *row["negatives"]):
            if candidate is not None:
                look("groups", split, candidate["video_id"], row["group_id"])
    if unknown.count and not found.count:
        message = f"{unknown.count:,} rows name a video that the corpus lacks"
        return could_not_look("held_out_use", message, _REGROUP, unknown.count, unknown.examples)
    return by_count(
        "held_out_use", found, "no split uses a video of a later one", "{count} rows use a video of a later split",
        _REGROUP,
    )  # fmt: skip


@check(
    {"corpus": ("video_id", "sha256"), "queries": ("query_id",)},
    "a video or query in another split than in an earlier version",
    may_be_empty=("corpus", "queries"),
)
def moved_splits(dataset: Dataset, settings: Settings) -> CheckResult:
    """Videos, by content or id, and queries that have another split than `assigned.jsonl` says. Without this file the
    dataset is the first of its line, and there is nothing to compare."""
    before, found, kept = read_assigned(dataset.folder), Findings(), 0
    for split, row in dataset.rows("corpus", ("video_id", "sha256")):
        was = before.contents.get(row["sha256"]) or before.videos.get(row["video_id"])
        kept += was == split
        if was not in (None, split):
            found.add(f"video {row['video_id']}: {was} before, {split} now")
    for split, row in dataset.rows("queries", ("query_id",)):
        was = before.queries.get(row["query_id"])
        kept += was == split
        if was not in (None, split):
            found.add(f"query {row['query_id']}: {was} before, {split} now")
    if not (dataset.folder / ASSIGNED).exists():
        return CheckResult("moved_splits", "off", "the first version of its line, so there is none to compare with")
    return by_count(
        "moved_splits", found, f"{kept:,} videos and queries of earlier versions kept their split",
        "{count} videos and queries are in another split than before",
        "export the run again with `--like` and the version before",
    )  # fmt: skip


def _straddling(keys: Iterable[tuple[str, str]]) -> Findings:
    """Keys that are seen in more than one split."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for split, key in keys:
        splits[key].add(split)
    found = Findings()
    found.extend(f"{key} in {' and '.join(sorted(of))}" for key, of in sorted(splits.items()) if len(of) > 1)
    return found
